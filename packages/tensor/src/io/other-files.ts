/** What is often given in place of a safetensors file: named by how it begins, with what to do. */

const ARCHIVE_MEMBERS: readonly (readonly [member: RegExp, what: string])[] = [
  [
    /\.pkl/,
    'a PyTorch (pickle) file, which may run code when it is loaded. Save its tensors with safetensors.torch.save_file',
  ],
  [/\.npy/, 'a NumPy archive (.npz). Save its arrays with safetensors.numpy.save_file'],
  [/\.weights\.h5/, 'a Keras model. Save its weights as safetensors'],
];
const ZIP = 'a ZIP file. Unpack it and give the safetensors file in it';

/** By Latin-1: how they begin, or what must hold of the first bytes. */
type Beginnings = readonly (readonly [start: string | ((head: string) => boolean), what: string])[];

/** Whatever file was wanted, it is within these, or elsewhere. */
const UNWANTED: Beginnings = [
  ['\x1f\x8b', 'compressed with gzip. Unpack it first (gunzip)'],
  ['BZh', 'compressed with bzip2. Unpack it first (bunzip2)'],
  ['\xfd7zXZ', 'compressed with xz. Unpack it first (xz -d)'],
  ['\x28\xb5\x2f\xfd', 'compressed with Zstandard. Unpack it first (zstd -d)'],
  ['version https://git-lfs', 'a Git LFS pointer, not the file itself. Fetch it with: git lfs pull'],
  [(head) => /^\s*<(?:!doctype|html)/i.test(head), 'a web page. Download the file itself'],
];

const BEGINNINGS: Beginnings = [
  [
    // Protocols 2 to 5.
    (head) => head[0] === '\x80' && head[1]! >= '\x02' && head[1]! <= '\x05',
    'a Python pickle, such as an old PyTorch file, which may run code when it is loaded. Save its tensors with safetensors.torch.save_file',
  ],
  ['\x93NUMPY', 'a NumPy array (.npy). Save arrays by name with safetensors.numpy.save_file'],
  ['\x89HDF', 'HDF5, as saved by Keras. Save its tensors with safetensors'],
  ['GGUF', 'GGUF, as used by llama.cpp. Give the safetensors files that it was made from'],
  [
    // Its version, then who wrote it, or the graph or the operators at once.
    (head) => head[0] === '\x08' && head[1]! < ' ' && '\x12:B'.includes(head[2]!),
    'probably ONNX. Give the safetensors file of the model that was exported, or save its initializers as safetensors',
  ],
  [
    (head) => head.startsWith('TFL3', 4),
    'TensorFlow Lite. Save the weights of the model that was converted as safetensors',
  ],
  [(head) => head.startsWith('ustar', 257), 'a tar archive. Unpack it and give the safetensors file in it'],
  ['7z\xbc\xaf', 'a 7z archive. Unpack it and give the safetensors file in it'],
  ...UNWANTED,
  [
    (head) => /^\s*\{/.test(head) && head.includes('"weight_map"'),
    'the index of a model in several safetensors files. Put their tensors into one file',
  ],
  [(head) => /^[\t\n\r -~]+$/.test(head), 'a text file. Give a .safetensors file'],
];

const HEAD_BYTES = 512;
/** A ZIP file lists its members at its end. */
const TAIL_BYTES = 1 << 16;

const latin1 = (bytes: Uint8Array): string => {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
};

const kindAmong = (kinds: Beginnings, head: string): string | undefined =>
  kinds.find(([start]) => (typeof start === 'string' ? head.startsWith(start) : start(head)))?.[1];

/** What the file is that no model is, in any format, and what to do; undefined where it begins like none of these. */
export const unwantedKind = (bytes: Uint8Array): string | undefined =>
  kindAmong(UNWANTED, latin1(bytes.subarray(0, HEAD_BYTES)));

/** What the file is instead of safetensors, and what to do; undefined where it begins like none of these. */
export function otherKind(bytes: Uint8Array): string | undefined {
  const head = latin1(bytes.subarray(0, HEAD_BYTES));
  if (!head.startsWith('PK\x03\x04')) return kindAmong(BEGINNINGS, head);
  const names = head + latin1(bytes.subarray(-TAIL_BYTES));
  return ARCHIVE_MEMBERS.find(([member]) => member.test(names))?.[1] ?? ZIP;
}
