"""How images are read. The names are those of Keras' Conv2D, RandomFlip, RandomTranslation and their like."""

from typing import Annotated, Literal

from pydantic import Field

from trainyard_api.meta import ApiModel

ImageFilters = Annotated[int, Field(ge=1, le=4096)]
Side = Annotated[int, Field(ge=1, le=4096)]
Factor = Annotated[float, Field(ge=0, le=1)]


class ImageReading(ApiModel):
    """How images become pixels."""

    height: Side | None = Field(
        default=None,
        description="Height that images are resized to; 64 where absent, or that of the data where it holds arrays.",
    )
    width: Side | None = Field(default=None, description="Width that images are resized to; likewise.")
    channels: Literal[1, 3] | None = Field(
        default=None, description="1 for grey, 3 for colours; 3 where absent, or as in the data where it holds arrays."
    )


class Augment(ApiModel):
    """Random changes to the training images, new ones each time; validation and the served model see none."""

    flip: Literal["horizontal", "vertical", "horizontal_and_vertical"] | None = Field(
        default=None, description="Mirror half of the images."
    )
    translation: Factor = Field(default=0.0, description="Shift by up to this share of the width and of the height.")
    rotation: Factor = Field(default=0.0, description="Turn by up to this share of a full circle, either way.")
    zoom: Factor = Field(default=0.0, description="Make larger or smaller by up to this share.")
    contrast: Factor = Field(default=0.0, description="Raise or lower the contrast by up to this share.")


class Image(ImageReading):
    """How family cnn reads images, and the size of its network."""

    filters: list[ImageFilters] = Field(
        default=[32, 64, 128],
        min_length=1,
        max_length=12,
        description="Filters of each convolution, first to last; each is followed by normalisation, the activation "
        "and, as long as there is something to halve, max pooling.",
    )
    kernel_size: int = Field(default=3, ge=1, le=31, description="Width and height of the filters.")
    augment: Augment | None = Field(default=None, description="Random changes to the training images; none by default.")
