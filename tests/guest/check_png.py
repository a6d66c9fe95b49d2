# SPDX-License-Identifier: MIT
"""tests/guest/check_png.py - FILE WIDTH HEIGHT: is it the pattern of draw.c, pixel by pixel?"""
import struct
import sys
import zlib


def read(path):
    data = open(path, "rb").read()
    assert data[:8] == b"\x89PNG\r\n\x1a\n", "no PNG"
    at, packed, size = 8, b"", None
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            size = struct.unpack(">IIBBBBB", body)
        elif kind == b"IDAT":
            packed += body
        at += length + 12
    assert size[2:4] == (8, 2), "not eight bits of three colours"
    return size[0], size[1], zlib.decompress(packed)


def paeth(a, b, c):
    p = a + b - c
    pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
    return a if pa <= pb and pa <= pc else b if pb <= pc else c


def rows(width, height, raw):
    before = bytearray(width * 3)
    for y in range(height):
        start = y * (width * 3 + 1)
        how, row = raw[start], bytearray(raw[start + 1 : start + 1 + width * 3])
        for i in range(len(row)) if how else ():
            left, corner = (row[i - 3], before[i - 3]) if i >= 3 else (0, 0)
            add = (0, left, before[i], (left + before[i]) // 2, paeth(left, before[i], corner))[how]
            row[i] = (row[i] + add) & 255
        yield row
        before = row


def main():
    width, height, raw = read(sys.argv[1])
    assert (width, height) == (int(sys.argv[2]), int(sys.argv[3])), f"{width} x {height}"
    for y, row in enumerate(rows(width, height, raw)):
        for x in range(width):
            want = ((x * 7 + y) % 256, (y * 5 + 3) % 256, (x ^ y) % 256)
            assert tuple(row[x * 3 : x * 3 + 3]) == want, f"pixel {x}, {y}"
    print("every pixel")


main()
