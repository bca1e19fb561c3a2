"""Forty names that lead elsewhere, mean devices, or cannot be names of files at all."""

from __future__ import annotations

UP = [
    "../evil",
    "../../evil",
    "a/../../evil",
    "a/b/../../../evil",
    "..",
    ".",
    "./../evil",
    "a/..",
    "..\\evil",
    "a\\..\\..\\evil",
]
ABSOLUTE = [
    "/evil",
    "//evil",
    "/tmp/evil",
    "~/evil",
    "file:///tmp/evil",
    "C:\\evil",
    "C:evil",
    "c:/evil",
    "\\\\host\\share\\evil",
]
DEVICES = ["/dev/zero", "/dev/stdin", "/dev/random", "/proc/self/mem", "/dev/fd/0", "CON", "NUL.wav", "AUX", "COM1.wav"]
ODD = [
    "a\0b",
    "evil\n",
    "\r\nevil",
    "evil.",
    "evil ",
    "a" * 300,
    "a/" * 200 + "evil",
    "\u202eevil",
    "-rf",
    "$(touch evil)",
]
REMOTE = ["https://example.org/a.wav", "pipe:touch evil |", "s3://bucket/a.wav", "|touch evil"]
NAMES = [*UP, *ABSOLUTE, *DEVICES, *ODD, *REMOTE]
