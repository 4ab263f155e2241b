/**
 * Data that a program makes: the spectrograms of short sounds, each a sine, square, triangle or sawtooth wave of its own pitch, in
 * noise. Packs them for waveforms.yaml, which learns to tell the four apart.
 *
 *     node examples/own-data/waveforms.ts data/waveforms
 */
import { packDataset, type Sample } from '@kasane/data/pack-dataset';

/** Samples per second, of sounds that are frames of so many samples each. */
const [RATE, FRAMES, FRAME] = [8000, 16, 128];
/** Frequencies of a frame's spectrum: multiples of RATE / FRAME, up to half the rate. */
const BANDS = FRAME / 2;

/** One period, for a phase between 0 and 1. */
const waves = {
  sine: (phase: number) => Math.sin(2 * Math.PI * phase),
  square: (phase: number) => (phase < 0.5 ? 1 : -1),
  triangle: (phase: number) => 4 * Math.abs(phase - 0.5) - 1,
  sawtooth: (phase: number) => 2 * phase - 1,
};
const names = Object.keys(waves) as (keyof typeof waves)[];

/** mulberry32: numbers from 0 to 1 that follow from the seed, so that everybody packs the same bytes. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

function sound(name: keyof typeof waves, random: () => number): Float64Array {
  const pitch = 100 * 10 ** random();
  const start = random();
  const noise = () => random() + random() + random() - 1.5;
  return Float64Array.from({ length: FRAMES * FRAME }, (_, t) => {
    const phase = (start + (pitch * t) / RATE) % 1;
    return waves[name](phase) + noise();
  });
}

const twiddles = Array.from({ length: FRAME }, (_, k) => {
  const angle = (2 * Math.PI * k) / FRAME;
  return [Math.cos(angle), Math.sin(angle)] as const;
});

/** Logarithms of the power in each band of each frame: [FRAMES, BANDS]. */
function spectrogram(samples: Float64Array): Float32Array {
  return Float32Array.from({ length: FRAMES * BANDS }, (_, at) => {
    const [frame, band] = [Math.floor(at / BANDS), at % BANDS];
    let [real, imaginary] = [0, 0];
    for (let t = 0; t < FRAME; t++) {
      const [cos, sin] = twiddles[(band * t) % FRAME]!;
      // A Hann window: without it, the ends of the frame would be heard.
      const value = samples[frame * FRAME + t]! * (0.5 - 0.5 * twiddles[t]![0]);
      real += value * cos;
      imaginary += value * sin;
    }
    return Math.log(1e-3 + (real ** 2 + imaginary ** 2) / FRAME);
  });
}

function* sounds(count: number, seed: number): Generator<Sample> {
  const random = randomFrom(seed);
  for (let i = 0; i < count; i++) {
    const name = names[i % names.length]!;
    yield { input: spectrogram(sound(name, random)), target: name };
  }
}

const [folder = 'data/waveforms'] = process.argv.slice(2);
const fields = { input: { dtype: 'f32', shape: [FRAMES, BANDS, 1] }, target: { classes: names } } as const;
const { train, test, digest } = await packDataset(folder, fields, {
  train: sounds(2000, 1),
  test: sounds(400, 2),
});
console.log(`${folder}: ${train} sounds for training, ${test} for testing, SHA-256 of the index ${digest}`);
console.log(`Train on it: kasane train examples/own-data/waveforms.yaml`);
