"""What `apply` would do with an entry, in words."""

from applier.restore.status import FileStatus, WouldDo
from schemas.text import human_size, printable


def dry_run_line(file: FileStatus) -> str:
    """Return the line of one entry."""
    name = printable(file.raw_file_id if file.relative_path is None else file.relative_path)
    size = f"({human_size(file.size_bytes or 0)})"
    match file.would_do:
        case WouldDo.CANNOT:
            return f"cannot    {name}: {printable(file.detail)}"
        case WouldDo.SKIP:
            return f"skip      {name}: already exists, verified {size}"
        case WouldDo.VERIFY:
            return f"verify    {name}: already exists, not verified {size}"
        case WouldDo.DOWNLOAD:
            return f"download  {name} {size}"
        case WouldDo.HEAL:
            return f"heal      {name}: {printable(file.detail)} {size}"
