"""From files to rows of arrays. Nothing here imports TensorFlow, so bad input is reported before that is loaded."""
