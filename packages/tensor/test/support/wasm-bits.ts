/**
 * A program for a process of its own: prints, as JSON, the chosen kernel and a digest of three training steps for every
 * kernel name. `--revectorize` asks V8 for 256-bit operations first.
 */
import { createHash } from 'node:crypto';
import { kernelNames, kernelShapes } from '../../src/backends/wasm/gemm.ts';
import { selectKernel } from '../../src/backends/wasm/kernels.ts';
import { openWasmSession } from '../../src/backends/wasm/session.ts';
import { buildModel, initializeParameters } from '../../src/nn/model.ts';
import { enableRevectorization } from '../../src/node/v8-flags.ts';
import { uniforms } from './cases.ts';

const asked = process.argv.includes('--revectorize') && enableRevectorization();
const model = buildModel({
  input: [70],
  classes: 10,
  layers: [
    { type: 'dense', units: 51 },
    { type: 'tanh' },
    { type: 'dropout', rate: 0.3 },
    { type: 'dense', units: 33 },
    { type: 'sigmoid' },
    { type: 'dense', units: 10 },
  ],
});
const samples = 19;
const digests: Record<string, string> = {};
for (const kernel of kernelNames.filter((name) => !kernelShapes[name].fused)) {
  const session = await openWasmSession(model, [{ mode: 'train', samples }], { kernel });
  const program = session.program({ mode: 'train', samples });
  session.parameters.set(initializeParameters(model, 3));
  program.x.set(uniforms(samples * 70, 1));
  program.labels.set(uniforms(samples, 2).map((u) => Math.floor(10 * u)));
  program.sampleIds.set(Array.from({ length: samples }, (_, i) => 1000 + i));
  const hash = createHash('sha256');
  for (let step = 0; step < 3; step++) {
    program.key.set([11, 0, step, 0]);
    program.run();
    for (let i = 0; i < session.parameters.length; i++) session.parameters[i]! -= session.gradients[i]! / 64;
    hash.update(session.parameters).update(program.lossSum).update(program.logits);
  }
  digests[kernel] = hash.digest('hex');
}
process.stdout.write(JSON.stringify({ asked, choice: selectKernel(), digests }));
