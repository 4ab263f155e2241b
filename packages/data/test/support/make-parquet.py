# Writes parquet-files.json: small Parquet files as base64. Needs pyarrow (25.0.1): python make-parquet.py > parquet-files.json
import base64, datetime, decimal, io, json, struct, zlib

import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 24
day = datetime.date(2026, 1, 1)
noon = datetime.datetime(2026, 1, 1, 12)


def png(red):
    """2 x 2 pixels of one colour."""
    chunk = lambda kind, data: struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    header = chunk(b'IHDR', struct.pack('>IIBBBBB', 2, 2, 8, 2, 0, 0, 0))
    pixels = chunk(b'IDAT', zlib.compress((b'\0' + bytes([red, 0, 0]) * 2) * 2))
    return b'\x89PNG\r\n\x1a\n' + header + pixels + chunk(b'IEND', b'')


rows = range(ROWS)
kinds = ['rot', 'gr\u00fcn', '\u9752']
table = pa.table({
    'id': pa.array([2**60 + i for i in rows], pa.int64()),
    'x': pa.array([None if i == 7 else i / 4 for i in rows], pa.float32()),
    'y': pa.array([float('nan') if i == 3 else i * 0.5 for i in rows], pa.float64()),
    'kind': pa.DictionaryArray.from_arrays(pa.array([i % 3 for i in rows], pa.int8()), pa.array(kinds)),
    'ok': pa.array([i % 2 == 0 for i in rows]),
    'day': pa.array([day + datetime.timedelta(days=i) for i in rows]),
    'at': pa.array([noon + datetime.timedelta(hours=i, microseconds=i) for i in rows], pa.timestamp('us')),
    'price': pa.array([decimal.Decimal(i) / 100 for i in rows], pa.decimal128(12, 2)),
    'big': pa.array([2**63 + i for i in rows], pa.uint64()),
    'half': pa.array([i / 2 for i in rows], pa.float32()).cast(pa.float16()),
    'v': pa.array([[float(i), 1.5, -2.0] for i in rows], pa.list_(pa.float32())),
    'tokens': pa.array([[j + i % 2 for j in range(5)] for i in rows], pa.list_(pa.int32())),
    'image': pa.array([{'bytes': png(10 * i), 'path': f'{i}.png'} for i in rows]),
    'raw': pa.array([b'prefix' + bytes([i]) for i in rows], pa.binary()),
})


def packed(names=table.column_names, **options):
    out = io.BytesIO()
    options = {'row_group_size': 16, 'write_statistics': False, 'store_schema': False, **options}
    pq.write_table(table.select(names), out, **options)
    return base64.b64encode(out.getvalue()).decode()


some = ['id', 'x', 'kind', 'raw']
deltas = {'id': 'DELTA_BINARY_PACKED', 'x': 'BYTE_STREAM_SPLIT', 'kind': 'DELTA_LENGTH_BYTE_ARRAY', 'raw': 'DELTA_BYTE_ARRAY'}
files = {
    'snappy': packed(compression='snappy'),
    'zstd, pages of version 2': packed(compression='zstd', data_page_version='2.0'),
    'gzip': packed(some, compression='gzip'),
    'brotli': packed(some, compression='brotli'),
    'not compressed': packed(some, compression='none'),
    'deltas': packed(some, use_dictionary=False, column_encoding=deltas),
    'lz4': packed(some, compression='lz4'),
}
print(json.dumps(files, indent=1))
