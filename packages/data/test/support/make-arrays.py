# Writes array-files.json: files of NumPy (2.4) and of Python's tarfile as gzipped base64. python make-arrays.py > array-files.json
import base64, gzip, io, json, struct, tarfile, zlib

import numpy as np

ROWS = 12
files = {}


def keep(name, data):
    files[name] = base64.b64encode(gzip.compress(data, mtime=0)).decode()


def npy(name, array, **options):
    out = io.BytesIO()
    np.save(out, array, **options)
    keep(f'{name}.npy', out.getvalue())


def npz(name, save, **arrays):
    out = io.BytesIO()
    save(out, **arrays)
    keep(f'{name}.npz', out.getvalue())


x = (np.arange(ROWS * 12) % 256).astype(np.uint8).reshape(ROWS, 4, 3)
y = np.arange(ROWS) % 3
half = np.arange(ROWS * 2).reshape(ROWS, 2) / 2
npy('pixels', x)
npy('labels', y)
npy('names', np.array(['cat', 'dog', '\u00e9t\u00e9'])[y])
npy('bytes', np.array([b'cat', b'dog', b'fox'])[y])
for kind in ['<f2', '>f4', '<f8', '<i2', '>i8', '<u4', '?']:
    npy(f'of {kind}', half.astype(kind))
npy('tokens', (np.arange(ROWS * 6) % 7).reshape(ROWS, 6))
npy('fortran', np.asfortranarray(half))
npy('objects', np.array([{}, 1], dtype=object), allow_pickle=True)
npy('fields', np.zeros(3, dtype=[('a', 'f4'), ('b', 'i4')]))
npy('scalar', np.float32(1))
npy('empty', np.zeros((0, 4)))
npy('dates', np.array(['2026-01-01'], dtype='M8[D]'))
npz('plain', np.savez, x=x, y=y)
npz('parts', np.savez_compressed, x_train=x, y_train=y, x_test=x[:6], y_test=y[:6])
npz('uneven', np.savez, x=x, y=y[:5])


def png(colour):
    chunk = lambda kind, data: struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    header = chunk(b'IHDR', struct.pack('>IIBBBBB', 2, 2, 8, 2, 0, 0, 0))
    return b'\x89PNG\r\n\x1a\n' + header + chunk(b'IDAT', zlib.compress((b'\0' + bytes(colour) * 2) * 2)) + chunk(b'IEND', b'')


def tar(name, form, rows=range(ROWS), folder='shard/', drop=None):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=form) as archive:
        folder_entry = tarfile.TarInfo('shard')
        folder_entry.type = tarfile.DIRTYPE
        archive.addfile(folder_entry)
        for i in rows:
            said = json.dumps({'width': i / 2, 'box': [i, 1.5]}).encode()
            for ending, data in [('png', png([20 * i, i, 0])), ('cls', str(i % 3).encode()), ('json', said), ('txt', 'Gr\u00fc\u00dfe\n'.encode())]:
                if (i, ending) == drop:
                    continue
                entry = tarfile.TarInfo(f'{folder}{i:04d}.{ending}')
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
        hidden = tarfile.TarInfo('shard/.DS_Store')
        archive.addfile(hidden, io.BytesIO(b''))
    keep(name, out.getvalue())


tar('gnu.tar', tarfile.GNU_FORMAT, folder='shard/' + 'long' * 30)
tar('pax.tar', tarfile.PAX_FORMAT, folder='shard/' + 'long' * 30)
tar('ustar.tar', tarfile.USTAR_FORMAT)
tar('first.tar', tarfile.USTAR_FORMAT, rows=range(6))
tar('second.tar', tarfile.USTAR_FORMAT, rows=range(6, ROWS))
tar('without.tar', tarfile.USTAR_FORMAT, drop=(4, 'png'))
print(json.dumps(files, indent=1))
