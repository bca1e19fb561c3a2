"""Pickles read as data, by a machine that has no instruction to look up, call or import anything.

A pickle is a program for a small stack machine (the standard library's `pickletools` documents its instructions).
Python's own reader carries them out; this one carries out those that make plain values, and writes the others down:
a call, or a state that an object is given, becomes a [`Thing`][tokaudio.checkpoints.plain_pickle.Thing] that says
what the file wants. Which names may occur, and as what, the caller says; all others are refused by name, before
anything is made of them. Lengths are compared with what the file holds before memory is taken for them.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NoReturn

from tokaudio.errors import CheckpointError, one_line

# What a file of tables needs is far below: some hundred instructions, and texts that hold a table where bytes were
# not yet known to pickles.
_MOST_INSTRUCTIONS = 20_000
_LONGEST_TEXT, _LONGEST_INTEGER = 1 << 26, 32
_NEWEST = 5


class Role(Enum):
    """What a name may be used as."""

    CLASS = "a class, of which objects are made"
    FUNCTION = "a function, which is called"
    WORD = "a word: only an argument of others"


@dataclass(frozen=True, slots=True)
class Name:
    """A name that a pickle asks for, such as `numpy.dtype`, and what it may be used as."""

    full: str
    role: Role


@dataclass(eq=False, slots=True)
class Thing:
    """What a pickle wants made: of which class or by which function, from what; it is not made.

    Attributes:
        name: full name of the class or function.
        arguments: of the call.
        state: what the object is given afterwards; None if nothing.
        raw: bytes that follow the object outside the pickle's instructions; None if there are none.
    """

    name: str
    arguments: tuple[Any, ...] = ()
    state: Any = None
    raw: memoryview | None = field(default=None, repr=False)


class PlainPickle:
    """One pickle of protocol 2 to 5.

    Args:
        content: the bytes.
        names: the names that may occur, and what they may be used as.
        where: the file, for messages.
        subject: what the file should be, for messages.

    Example:
        >>> import pickle
        >>> content = memoryview(pickle.dumps([{"a": 1.5}, (True, b"x")]))
        >>> PlainPickle(content, {}, "a.pkl", subject="numbers").read()
        [{'a': 1.5}, (True, b'x')]
        >>> PlainPickle(memoryview(pickle.dumps(print)), {}, "a.pkl", subject="numbers").read()
        Traceback (most recent call last):
            ...
        tokaudio.errors.CheckpointError: a.pkl: asks for builtins.print, which is no part of numbers; do not ...
    """

    def __init__(
        self, content: memoryview, names: Mapping[str, Role], where: str | os.PathLike[str], *, subject: str
    ) -> None:
        self._content, self._at = content, 0
        self._names, self._where, self._subject = names, where, subject
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def read(self) -> Any:
        """Return what the pickle holds, with a `Thing` for each object.

        Raises:
            CheckpointError: if it asks for anything that is not allowed, or is damaged or cut off.
        """
        for _ in range(_MOST_INSTRUCTIONS):
            code = self.take(1)[0]
            if code == _STOP:
                return self._pop()
            action = _ACTIONS.get(code)
            if action is None:
                self._unknown(code)
            action(self)
        raise self.refused("has more instructions than any such file needs")

    def take(self, count: int) -> memoryview:
        """Return the next bytes of the file.

        Raises:
            CheckpointError: if there are not so many.
        """
        if not 0 <= count <= len(self._content) - self._at:
            raise self.damaged("it ends too early, or states a wrong length")
        self._at += count
        return self._content[self._at - count : self._at]

    def built(self, thing: Thing) -> None:
        """Look at an object that has just been given its state; bytes of its own may follow, to be taken now."""

    def refused(self, problem: str) -> CheckpointError:
        """Return the error for a file that wants what it must not."""
        remedy = "do not open it with anything that runs pickles, and get it from someone you trust"
        return CheckpointError(one_line(self._where, problem, remedy))

    def damaged(self, detail: str) -> CheckpointError:
        """Return the error for a file that is not whole."""
        return CheckpointError(one_line(self._where, f"is damaged or cut off ({detail})", "copy or download it again"))

    def _pop(self) -> Any:
        if not self._stack:
            raise self.damaged("an instruction lacks its values")
        return self._stack.pop()

    def _top(self, kind: type) -> Any:
        if not self._stack or type(self._stack[-1]) is not kind:
            raise self.damaged(f"an instruction for a {kind.__name__} stands where there is none")
        return self._stack[-1]

    def _since_mark(self) -> list[Any]:
        if not self._below:
            raise self.damaged("an instruction lacks its beginning")
        items, self._stack = self._stack, self._below.pop()
        return items

    def _unknown(self, code: int) -> NoReturn:
        import pickletools

        known = {opcode.code: opcode.name for opcode in pickletools.opcodes}
        if chr(code) not in known:
            raise self.damaged(f"byte {code} is no instruction")
        raise self.refused(f"uses the instruction {known[chr(code)]}, which {self._subject} never needs")

    # Values

    def _number(self, form: struct.Struct) -> Any:
        return form.unpack(self.take(form.size))[0]

    def _sized(self, form: struct.Struct) -> bytes:
        return bytes(self.take(self._number(form)))

    def _text(self, form: struct.Struct) -> str:
        count = self._number(form)
        if count > _LONGEST_TEXT:
            raise self.refused(f"holds a text of {count:,} bytes")
        return self._decoded(self.take(count))

    def _decoded(self, raw: memoryview) -> str:
        try:
            return str(raw, "utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise self.damaged("a text is no UTF-8") from error

    def _proto(self) -> None:
        version = self.take(1)[0]
        if version > _NEWEST:
            raise self.damaged(f"it says that it is of protocol {version}")

    def _frame(self) -> None:
        count = self._number(_U64)
        if count > len(self._content) - self._at:
            raise self.damaged("it ends too early, or states a wrong length")

    def _integer(self) -> None:
        count = self.take(1)[0]
        if count > _LONGEST_INTEGER:
            raise self.refused(f"holds an integer of {count} bytes")
        self._stack.append(int.from_bytes(self.take(count), "little", signed=True))

    def _old_text(self, form: struct.Struct) -> None:
        # Python 2 knew one kind for texts and bytes; a character for each byte loses nothing.
        self._stack.append(str(self._sized(form), "latin-1"))

    # Containers

    def _mark(self) -> None:
        self._below.append(self._stack)
        self._stack = []

    def _tuple(self, count: int) -> None:
        self._stack.append(tuple(reversed([self._pop() for _ in range(count)])))

    def _append(self) -> None:
        value = self._pop()
        self._top(list).append(value)

    def _appends(self) -> None:
        values = self._since_mark()
        self._top(list).extend(values)

    def _set_items(self, items: list[Any]) -> None:
        content = self._top(dict)
        keys, values = items[::2], items[1::2]
        if len(items) % 2 or not all(type(key) in (str, int) for key in keys):
            raise self.damaged("the keys of a dictionary are neither texts nor integers")
        content.update(zip(keys, values, strict=True))

    def _put(self, number: int) -> None:
        if not self._stack:
            raise self.damaged("an instruction lacks its values")
        self._memo[number] = self._stack[-1]

    def _get(self, number: int) -> None:
        if number not in self._memo:
            raise self.damaged("it refers to what is not there")
        self._stack.append(self._memo[number])

    # Names and things

    def _line(self) -> str:
        # A name is short: a file without line ends is not searched to its end.
        near = bytes(self._content[self._at : self._at + 1000])
        end = near.find(b"\n")
        if end < 0:
            raise self.damaged("a name does not end")
        return self._decoded(self.take(end + 1)[:end])

    def _global(self) -> None:
        module = self._line()
        self._named(module, self._line())

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        if type(module) is not str or type(name) is not str:
            raise self.damaged("a name is no text")
        self._named(module, name)

    def _named(self, module: str, name: str) -> None:
        full = f"{module}.{name}"
        role = self._names.get(full)
        # A dot in the name itself would reach into what was allowed: numpy + core.multiarray.scalar is no class's name.
        if role is None or "." in name:
            shown = full if len(full) <= 100 else full[:100] + "..."
            raise self.refused(f"asks for {shown}, which is no part of {self._subject}")
        self._stack.append(Name(full, role))

    def _make(self, role: Role) -> None:
        arguments, name = self._pop(), self._pop()
        if type(name) is not Name or name.role is not role:
            shown = name.full if type(name) is Name else "something that is no name"
            raise self.refused(f"makes an object of {shown} in a way that {self._subject} never needs")
        if type(arguments) is not tuple:
            raise self.damaged("arguments are no tuple")
        self._stack.append(Thing(name.full, arguments))

    def _build(self) -> None:
        state = self._pop()
        thing = self._top(Thing)
        if thing.state is not None:
            raise self.refused(f"changes an object of {thing.name} twice")
        thing.state = state
        self.built(thing)


_U8, _U16, _I32, _U32, _U64 = (struct.Struct(f"<{code}") for code in "BHiIQ")
_DOUBLE = struct.Struct(">d")
_STOP = ord(".")
Action = Callable[[PlainPickle], None]


def _push(make: Callable[[PlainPickle], Any]) -> Action:
    def action(machine: PlainPickle) -> None:
        # Made first: a tuple ends the stack that it is made of.
        value = make(machine)
        machine._stack.append(value)

    return action


# Missing on purpose: persistent ids, registered extensions, INST, OBJ and NEWOBJ_EX, buffers outside the file, sets,
# POP and DUP, and the texts of protocols 0 and 1.
_ACTIONS: dict[int, Action] = {
    0x80: PlainPickle._proto,
    0x95: PlainPickle._frame,
    ord("N"): _push(lambda _: None),
    0x88: _push(lambda _: True),
    0x89: _push(lambda _: False),
    ord("J"): _push(lambda m: m._number(_I32)),
    ord("K"): _push(lambda m: m._number(_U8)),
    ord("M"): _push(lambda m: m._number(_U16)),
    0x8A: PlainPickle._integer,
    ord("G"): _push(lambda m: m._number(_DOUBLE)),
    0x8C: _push(lambda m: m._text(_U8)),
    ord("X"): _push(lambda m: m._text(_U32)),
    0x8D: _push(lambda m: m._text(_U64)),
    ord("U"): lambda m: m._old_text(_U8),
    ord("T"): lambda m: m._old_text(_U32),
    ord("C"): _push(lambda m: m._sized(_U8)),
    ord("B"): _push(lambda m: m._sized(_U32)),
    0x8E: _push(lambda m: m._sized(_U64)),
    0x96: _push(lambda m: m._sized(_U64)),
    ord("("): PlainPickle._mark,
    ord(")"): lambda m: m._tuple(0),
    0x85: lambda m: m._tuple(1),
    0x86: lambda m: m._tuple(2),
    0x87: lambda m: m._tuple(3),
    ord("t"): _push(lambda m: tuple(m._since_mark())),
    ord("]"): _push(lambda _: []),
    ord("a"): PlainPickle._append,
    ord("e"): PlainPickle._appends,
    ord("}"): _push(lambda _: {}),
    ord("s"): lambda m: m._set_items([m._pop(), m._pop()][::-1]),
    ord("u"): lambda m: m._set_items(m._since_mark()),
    ord("q"): lambda m: m._put(m._number(_U8)),
    ord("r"): lambda m: m._put(m._number(_U32)),
    0x94: lambda m: m._put(len(m._memo)),
    ord("h"): lambda m: m._get(m._number(_U8)),
    ord("j"): lambda m: m._get(m._number(_U32)),
    ord("c"): PlainPickle._global,
    0x93: PlainPickle._stack_global,
    ord("R"): lambda m: m._make(Role.FUNCTION),
    0x81: lambda m: m._make(Role.CLASS),
    ord("b"): PlainPickle._build,
}
