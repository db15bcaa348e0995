"""Writes packages/data/test/fixtures/readers/: Parquet, Arrow and CSV files with the rows their own tools read.

All content is made here. Usage: python make_reader_fixtures.py [output folder]
"""

import base64
import csv
import datetime
import decimal
import io
import json
import math
import random
import shutil
import sys
from pathlib import Path

import datasets
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

HERE = Path(__file__).resolve().parent
OUT = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent.parent / "packages/data/test/fixtures/readers"
WORDS = "the quick brown fox jumps over a lazy dog 你好 世界 émile naïve 🙂 😀 tab\t newline\n quote\" back\\slash".split(" ")


def plain(value):
    """A value as the readers give it: see jsonValue in parquet-values.ts."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**53 else str(value)
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, datetime.datetime):
        value = value if value.tzinfo else value.replace(tzinfo=datetime.timezone.utc)
        value = value.astimezone(datetime.timezone.utc)
        return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"
    if isinstance(value, datetime.date):
        return value.strftime("%Y-%m-%dT00:00:00.000Z")
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    raise TypeError(type(value))


def text(rng, words):
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(0, words)))


def flat_rows(count, seed):
    rng = random.Random(seed)
    return [
        {
            "text": None if i % 11 == 3 else text(rng, 12),
            "source": rng.choice(["web", "books", "code"]),
            "id": i,
            "score": None if i % 7 == 5 else rng.random(),
            "kept": i % 3 == 0,
        }
        for i in range(count)
    ]


def chat_rows(count, seed):
    rng = random.Random(seed)
    roles = ["human", "gpt"]
    rows = []
    for i in range(count):
        turns = rng.randint(0, 5)
        rows.append({
            "conversations": None if i % 13 == 7 else [
                {"from": roles[t % 2], "value": None if (i + t) % 9 == 8 else text(rng, 8)} for t in range(turns)
            ],
            "system": None if i % 4 else text(rng, 4),
            "tags": None if i % 5 == 4 else [text(rng, 1) for _ in range(i % 4)],
        })
    return rows


CHAT = pa.schema([
    ("conversations", pa.list_(pa.struct([("from", pa.string()), ("value", pa.string())]))),
    ("system", pa.string()),
    ("tags", pa.list_(pa.string())),
])

NESTED = pa.schema([
    ("grid", pa.list_(pa.list_(pa.int64()))),
    ("meta", pa.struct([("name", pa.string()), ("inner", pa.struct([("n", pa.int32()), ("list", pa.list_(pa.string()))]))])),
    ("pairs", pa.list_(pa.struct([("a", pa.list_(pa.int32())), ("b", pa.string())]))),
    ("must", pa.field("must", pa.string(), nullable=False).type),
])


def nested_rows(count, seed):
    rng = random.Random(seed)
    rows = []
    for i in range(count):
        rows.append({
            "grid": None if i % 6 == 5 else [
                None if rng.random() < 0.2 else [None if rng.random() < 0.2 else rng.randint(-9, 9) for _ in range(rng.randint(0, 3))]
                for _ in range(rng.randint(0, 3))
            ],
            "meta": None if i % 5 == 2 else {
                "name": None if i % 3 == 1 else text(rng, 2),
                "inner": None if i % 4 == 3 else {"n": i, "list": [text(rng, 1) for _ in range(i % 3)]},
            },
            "pairs": [{"a": None if rng.random() < 0.3 else [rng.randint(0, 5)] * rng.randint(0, 2), "b": text(rng, 1)} for _ in range(i % 4)],
            "must": text(rng, 2),
        })
    return rows


def types_table():
    return pa.table({
        "i8": pa.array([-1, None, 127], pa.int8()),
        "u8": pa.array([0, 255, None], pa.uint8()),
        "u32": pa.array([0, 4294967295, None], pa.uint32()),
        "i64": pa.array([-(2**53) + 1, 2**53 - 1, None], pa.int64()),
        "big": pa.array([-(2**63), 2**63 - 1, None], pa.int64()),
        "u64": pa.array([0, 2**64 - 1, None], pa.uint64()),
        "f32": pa.array([0.5, -1.25, None], pa.float32()),
        "f64": pa.array([0.1, 1e300, None], pa.float64()),
        "bool": pa.array([True, None, False]),
        "date": pa.array([datetime.date(2024, 2, 29), None, datetime.date(1969, 12, 31)]),
        "ms": pa.array([datetime.datetime(2024, 2, 29, 1, 2, 3, 4000), None, datetime.datetime(1970, 1, 1)], pa.timestamp("ms")),
        "us": pa.array([datetime.datetime(2024, 2, 29, 1, 2, 3, 4005), None, datetime.datetime(1970, 1, 1)], pa.timestamp("us", "UTC")),
        "large": pa.array(["a" * 300, None, "ü"], pa.large_string()),
        "bytes": pa.array([b"\x00\xff", None, b"abc"], pa.binary()),
        "image": pa.array([{"bytes": b"\x89PNG", "path": "a.png"}, None, {"bytes": None, "path": "b.png"}]),
        "empty": pa.array([None, None, None], pa.string()),
        "dictionary": pa.array(["x", "y", "x"]).dictionary_encode(),
        "zero": pa.array(["", "", None]),
    })


def expected(name, rows):
    with open(OUT / f"{name}.rows.json", "w", encoding="utf8") as file:
        json.dump([plain(row) for row in rows], file, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        file.write("\n")


def parquet(name, table, **options):
    path = OUT / f"{name}.parquet"
    pq.write_table(table, path, **options)
    rows = pq.read_table(path).to_pylist()
    assert rows == table.to_pylist()
    expected(f"{name}.parquet", rows)


def make_parquet():
    flat = pa.Table.from_pylist(flat_rows(60, 1))
    parquet("flat-snappy-groups", flat, compression="snappy", row_group_size=23)
    parquet("flat-none-pages", pa.Table.from_pylist(flat_rows(300, 2)), compression="none",
            data_page_size=200, write_batch_size=16, use_dictionary=["source"], row_group_size=200)
    parquet("flat-gzip-v2", flat, compression="gzip", data_page_version="2.0")
    parquet("flat-brotli", flat, compression="brotli")
    parquet("flat-lz4", flat, compression="lz4")
    parquet("flat-delta", flat.select(["text", "id", "score", "kept"]), compression="none", use_dictionary=False,
            column_encoding={"text": "DELTA_BYTE_ARRAY", "id": "DELTA_BINARY_PACKED", "score": "BYTE_STREAM_SPLIT", "kept": "RLE"},
            data_page_version="2.0")
    chat = pa.Table.from_pylist(chat_rows(120, 3), schema=CHAT)
    parquet("chat-zstd", chat, compression="zstd", row_group_size=50)
    parquet("chat-snappy-pages", chat, compression="snappy", data_page_size=100, write_batch_size=3, use_dictionary=False)
    parquet("chat-zstd-v2-pages", chat, compression="zstd", data_page_size=100, write_batch_size=3, data_page_version="2.0")
    schema = NESTED.set(3, pa.field("must", pa.string(), nullable=False))
    parquet("nested", pa.Table.from_pylist(nested_rows(60, 4), schema=schema), compression="snappy", data_page_size=80, write_batch_size=4)
    parquet("types", types_table(), compression="zstd")
    frame = pandas.DataFrame({"text": ["one", None, "three"] * 5, "label": [1, 2, 3] * 5}, index=range(3, 18))
    frame.to_parquet(OUT / "pandas.parquet")
    rows = [{"text": None if pandas.isna(t) else t, "label": n, "__index_level_0__": i} for i, t, n in frame.itertuples()]
    # A range index is stored as metadata only.
    if "__index_level_0__" not in pq.read_schema(OUT / "pandas.parquet").names:
        for row in rows:
            del row["__index_level_0__"]
    expected("pandas.parquet", rows)


def make_arrow():
    chat = pa.Table.from_pylist(chat_rows(40, 5), schema=CHAT)
    with pa.OSFile(str(OUT / "chat-file.arrow"), "wb") as sink, pa.ipc.new_file(sink, chat.schema) as writer:
        writer.write_table(chat, max_chunksize=15)
    expected("chat-file.arrow", chat.to_pylist())
    flat = pa.Table.from_pylist(flat_rows(50, 6))
    with pa.OSFile(str(OUT / "flat-stream.arrow"), "wb") as sink, pa.ipc.new_stream(sink, flat.schema) as writer:
        writer.write_table(flat, max_chunksize=20)
    expected("flat-stream.arrow", flat.to_pylist())
    source = pa.chunked_array([pa.array(["web", "books", None, "web"]).dictionary_encode(), pa.array(["code", "web"]).dictionary_encode()])
    table = pa.table({"source": source, "n": pa.chunked_array([[1, 2, 3, 4], [5, 6]])})
    with pa.OSFile(str(OUT / "dictionary-stream.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    expected("dictionary-stream.arrow", table.to_pylist())
    unified = table.unify_dictionaries()
    with pa.OSFile(str(OUT / "dictionary-file.arrow"), "wb") as sink, pa.ipc.new_file(sink, unified.schema) as writer:
        writer.write_table(unified)
    expected("dictionary-file.arrow", unified.to_pylist())
    types = types_table()
    with pa.OSFile(str(OUT / "types-stream.arrow"), "wb") as sink, pa.ipc.new_stream(sink, types.schema) as writer:
        writer.write_table(types)
    expected("types-stream.arrow", types.to_pylist())
    nested = pa.Table.from_pylist(nested_rows(30, 7), schema=NESTED)
    with pa.OSFile(str(OUT / "nested-file.arrow"), "wb") as sink, pa.ipc.new_file(sink, nested.schema) as writer:
        writer.write_table(nested, max_chunksize=11)
    expected("nested-file.arrow", nested.to_pylist())
    for codec in ["lz4", "zstd"]:
        options = pa.ipc.IpcWriteOptions(compression=codec)
        with pa.OSFile(str(OUT / f"flat-{codec}.arrow"), "wb") as sink, pa.ipc.new_file(sink, flat.schema, options=options) as writer:
            writer.write_table(flat, max_chunksize=20)
        expected(f"flat-{codec}.arrow", flat.to_pylist())


def make_saved_dataset():
    path = OUT / "saved"
    shutil.rmtree(path, ignore_errors=True)
    rows = chat_rows(30, 8)
    data = datasets.DatasetDict({
        "train": datasets.Dataset.from_list(rows[:20], features=datasets.Features.from_arrow_schema(CHAT)),
        "test": datasets.Dataset.from_list(rows[20:], features=datasets.Features.from_arrow_schema(CHAT)),
    })
    data.save_to_disk(path, num_shards={"train": 2, "test": 1})
    expected("saved-train", data["train"].to_list())
    expected("saved-test", data["test"].to_list())


CSV_CASES = [
    "text,label\none,1\ntwo,2\n",
    "text,label\r\none,1\r\ntwo,2",
    'text,label\n"a, b",1\n"line\nbreak",2\n"say ""hi""",3\n',
    'text,label\n"a"b,1\n"a""b"c"d,2\na"b"c,3\n',
    "text,label\n\n\none,1\n\n",
    "text,label\n,\n\"\",\"\"\n",
    "text\none\n\"\"\ntwo\n   \n",
    "text,label\none\none,2,3\nthree,3\n",
    'text,label\n" padded ", x \n',
    "text,label\rone,1\rtwo,2\r",
    'text,label\r\n"a\r\nb\rc",1\r\n',
    'text,"la""bel",other\n1,2,3\n',
    "文,🙂\n你好,世界\n",
    'text,label\n"""",""""""\n',
    "\n\ntext,label\none,1\n",
    'text,label\none,1\n"two",2"\n',
    "a\tb,label\n1\t2,3\n",
    'text,label\n"a",\n,"b"\n',
]


def csv_rows(raw, dialect):
    return [row for row in csv.reader(io.StringIO(raw, newline=""), dialect) if row]


def is_closed(raw, dialect):
    return csv_rows(raw + "\nZ", dialect)[-1:] == [["Z"]]


def make_csv():
    rng = random.Random(9)
    cases = []
    for raw in CSV_CASES:
        cases.append({"raw": raw, "delimiter": ",", "rows": csv_rows(raw, "excel")})
        tabbed = raw.replace("\t", " ").replace(",", "\t")
        cases.append({"raw": tabbed, "delimiter": "\t", "rows": csv_rows(tabbed, "excel-tab")})
    while len(cases) < 400:
        raw = "h1,h2,h3\n" + "".join(rng.choice('a",\n\r "x,') for _ in range(rng.randint(1, 24)))
        if is_closed(raw, "excel"):
            cases.append({"raw": raw, "delimiter": ",", "rows": csv_rows(raw, "excel")})
    with open(OUT / "csv-cases.json", "w", encoding="utf8") as file:
        file.write("[\n" + ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases) + "\n]\n")


def make_zstd():
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in flat_rows(400, 10)).encode()
    level = {name: zstandard.ZstdCompressor(level=n, write_checksum=c, write_content_size=s)
             for name, n, c, s in [("fast", 1, False, True), ("best", 19, True, True), ("unsized", 3, True, False)]}
    half = lines.index(b"\n", len(lines) // 2) + 1
    frames = level["fast"].compress(lines[:half]) + b"\x50\x2a\x4d\x18\x03\0\0\0abc" + level["best"].compress(lines[half:])
    (OUT / "frames.jsonl.zst").write_bytes(frames)
    stream = level["unsized"].compressobj()
    (OUT / "stream.jsonl.zst").write_bytes(b"".join(stream.compress(lines[i:i + 1000]) + stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK) for i in range(0, len(lines), 1000)) + stream.flush())
    (OUT / "tiny.jsonl.zst").write_bytes(zstandard.ZstdCompressor(level=3, write_checksum=True).compress(b"7\n"))
    (OUT / "lines.jsonl").write_bytes(lines)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    make_parquet()
    make_arrow()
    make_saved_dataset()
    make_csv()
    make_zstd()
    print(f"pyarrow {pa.__version__} pandas {pandas.__version__} datasets {datasets.__version__} zstandard {zstandard.__version__}")


if __name__ == "__main__":
    main()
