"""Writes the files in `written_by/`, except those of LibreOffice; see README.md.

`python tests/manifest/written_by/make_files.py` from the project's root. The files of pandas are
pandas' own. Those of programs that run nowhere near a test (Excel, Numbers, Google Sheets, Windows
PowerShell) are written byte by byte as the programs are documented to write them.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
A, B, C = (f"5a3b1e00-000{n}-4c1e-8a01-00000000000{n}" for n in (1, 2, 3))
APP = "5a3b1e00-00a1-4c1e-8a01-0000000000a1"
HEADER = [
    *("Test ID", "Name", "Platform", "Mode", "Device model", "App ID", "Tags", "Repeat", "Owner")
]
ROWS = [
    [A, 'Café, "été"; Übersicht', "web|ios", "fast|deep", "", "", "smoke|régression", "", "Mia"],
    [B, "Sign in\nand out", "ios", "fast", "iPad", APP, "checkout", "2.00", "Müller, 007"],
    [C, "", "", "", "", "", "", "1.00", ""],
]


def table(
    separator: str, line_end: str, *, quote_all: bool = False, comma: bool = False, cell: str = "\n"
) -> str:
    """The table with cells quoted where needed; `cell` is the line end within one."""
    special = {separator, '"', "\n", "\r"}

    def one(text: str) -> str:
        text = text.replace("\n", cell)
        if comma and text.endswith(".00"):
            text = text.replace(".", ",")
        needs = quote_all or special & set(text)
        return '"' + text.replace('"', '""') + '"' if needs else text

    return "".join(separator.join(map(one, row)) + line_end for row in [HEADER, *ROWS])


def excel() -> dict[str, bytes]:
    """Each kind of text that "Save As" offers; the separator is that of the region."""
    return {
        "csv-utf-8.csv": table(",", "\r\n").encode("utf-8-sig"),
        "csv-utf-8-german.csv": table(";", "\r\n", comma=True).encode("utf-8-sig"),
        "csv.csv": table(",", "\r\n").encode("cp1252"),
        "csv-german.csv": table(";", "\r\n", comma=True).encode("cp1252"),
        "csv-macintosh.csv": table(",", "\r").encode("mac_roman"),
        "csv-macintosh-german.csv": table(";", "\r", comma=True, cell="\r").encode("mac_roman"),
        "csv-ms-dos.csv": table(",", "\r\n").encode("cp850"),
        "text.txt": table("\t", "\r\n").encode("cp1252"),
        "text-macintosh.txt": table("\t", "\r").encode("mac_roman"),
        "text-ms-dos.txt": table("\t", "\r\n").encode("cp850"),
        "unicode-text.txt": table("\t", "\r\n").encode("utf-16"),
        "sep-line.csv": ("sep=;\r\n" + table(";", "\r\n", comma=True)).encode("cp1252"),
    }


def numbers() -> dict[str, bytes]:
    """Encodings that its export offers; semicolons where the comma is the decimal sign."""
    return {
        "utf-8.csv": table(",", "\r\n").encode(),
        "utf-8-german.csv": table(";", "\r\n", comma=True).encode(),
        "windows-latin-1.csv": table(",", "\r\n").encode("cp1252"),
    }


def google_sheets() -> dict[str, bytes]:
    """UTF-8 without a byte order mark, and no line end after the last row."""
    return {
        "comma.csv": table(",", "\r\n").removesuffix("\r\n").encode(),
        "tab.tsv": table("\t", "\r\n").replace('"Sign in\nand out"', "Sign in and out").encode(),
    }


def powershell() -> dict[str, bytes]:
    """Export-Csv and `ConvertTo-Csv ... >` of version 5 and of version 7."""
    quoted = table(",", "\r\n", quote_all=True)
    typed = f"#TYPE System.Management.Automation.PSCustomObject\r\n{quoted}"
    selected = f"#TYPE Selected.System.Management.Automation.PSCustomObject\r\n{quoted}"
    return {
        "5-export-csv.csv": typed.encode("ascii", errors="replace"),
        "5-export-csv-utf8.csv": typed.encode("utf-8-sig"),
        "5-export-csv-unicode.csv": selected.encode("utf-16"),
        "5-export-csv-default.csv": typed.encode("cp1252"),
        "5-export-csv-oem.csv": typed.encode("cp850"),
        "5-no-type-information.csv": quoted.encode("utf-8-sig"),
        "5-convertto-csv-redirected.csv": typed.encode("utf-16"),
        "7-export-csv.csv": quoted.encode(),
        "7-export-csv-on-linux.csv": table(",", "\n", quote_all=True).encode(),
        "7-as-needed-semicolon.csv": table(";", "\r\n").encode(),
    }


def pandas() -> dict[str, bytes]:
    """What pandas writes itself, for a table that was read with its defaults."""
    frame = pd.read_csv(io.StringIO(table(",", "\n")))
    columns: dict[str, Any] = {
        "Platform": [["web", "ios"], ["ios"], []],
        "Mode": [("fast", "deep"), ("fast",), ()],
        "Tags": [np.array(["smoke", "régression"]), np.array(["checkout"]), None],
    }
    lists = frame.assign(**columns)
    return {
        "to-csv.csv": frame.to_csv().encode(),
        "to-csv-without-index.csv": frame.to_csv(index=False).encode(),
        "twice.csv": pd.read_csv(io.StringIO(frame.to_csv())).to_csv().encode(),
        "nan.csv": frame.drop(columns=["Name", "Owner"]).to_csv(na_rep="nan").encode(),
        "nullable.csv": frame.convert_dtypes()
        .drop(columns=["Name", "Owner"])
        .map(str)
        .to_csv()
        .encode(),
        "lists.csv": lists.to_csv().encode(),
        "german.csv": frame.to_csv(sep=";", decimal=",").encode("cp1252"),
        "utf-16.csv": frame.to_csv(sep="\t").encode("utf-16"),
    }


def main() -> None:
    """Write all files."""
    for make in (excel, numbers, google_sheets, powershell, pandas):
        folder = HERE / make.__name__.replace("_", "-")
        folder.mkdir(exist_ok=True)
        for name, content in make().items():
            (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
