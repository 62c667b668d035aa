"""Mount paths without a mount namespace: a process is told the real folder wherever its pod names a mount path."""

import re
from collections.abc import Mapping

# A mount path counts only where it stands alone: `/models` in `--base=/models/a` and `file:///models`, but not in
# `/my/models`, `$DIR/models`, `http://host/models` or `/models-2`.
_BEFORE = r"(?:(?<![\w./~$*)}\]-])|(?<=file://))"
_AFTER = r"(?![\w.-])"


def rewrite(text: str, mounts: Mapping[str, str]) -> str:
    """Replace every mount path in a text (an argument, an environment value, a script) by its real folder.

    The longest mount path wins. Text inside mounted files is not touched.
    """
    folders = {path.rstrip("/"): folder for path, folder in mounts.items() if path.rstrip("/")}
    if not folders:
        return text
    longest_first = sorted(folders, key=len, reverse=True)
    pattern = _BEFORE + "(" + "|".join(map(re.escape, longest_first)) + ")" + _AFTER
    return re.sub(pattern, lambda match: folders[match.group(1)], text)
