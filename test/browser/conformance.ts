/**
 * The conformance suite in a browser: every operation and layer on wasm and on WebGPU. Leaves a report on the page's window
 * for test/browser.test.ts.
 */
import { gradients } from '@kasane/tensor/autodiff';
import { evaluateGraph } from '@kasane/tensor/backends/reference/run';
import { webgpu } from '@kasane/tensor/backends/webgpu/backend';
import { deviceDescriptor } from '@kasane/tensor/backends/webgpu/program';
import { opCases } from '../../packages/tensor/test/support/cases.ts';
import { checkOperation, checkPytorch } from '../../packages/tensor/test/support/conformance.ts';
import { disagreement, type Fixtures, pytorchCases } from '../../packages/tensor/test/support/pytorch.ts';
import { runWasm } from '../../packages/tensor/test/support/run-wasm.ts';

export interface Report {
  readonly wasm: number;
  readonly webgpu: number;
  /** What is wrong, with the case. */
  readonly problems: readonly string[];
}

declare global {
  interface Window {
    report?: Promise<Report>;
  }
}

async function runAll(): Promise<Report> {
  const problems: string[] = [];
  const report = { wasm: 0, webgpu: 0, problems };
  const response = await fetch('/fixtures.json');
  const layers = pytorchCases((await response.json()) as Fixtures);
  const operations = opCases();

  for (const each of operations) {
    const { inputs, output, feeds, differentiable, label } = each;
    const wrt = inputs.filter((node) => node.dtype === 'f32');
    const outputs = [output, ...(differentiable ? gradients(output, wrt) : [])];
    const wanted = evaluateGraph(outputs, feeds);
    const found = await runWasm(outputs, feeds);
    const wrong = wanted.some((values, i) =>
      values.some((value, e) => !(Math.abs(found[i]![e]! - value) / Math.max(1, Math.abs(value)) < 2e-5)),
    );
    if (wrong) problems.push(`wasm, ${label}`);
    report.wasm++;
  }
  for (const each of layers) {
    const nodes = each.expected.map(({ node }) => node);
    const problem = disagreement(each, await runWasm(nodes, each.feeds), 1e-5);
    if (problem) problems.push(`wasm, ${each.label}: ${problem}`);
    report.wasm++;
  }

  const adapter = await navigator.gpu?.requestAdapter();
  if (!adapter) {
    problems.push('this browser has no WebGPU adapter');
    return report;
  }
  const device = await adapter.requestDevice(deviceDescriptor(adapter));
  const backend = webgpu(device);
  const check = async (label: string, problem: Promise<string | undefined>) => {
    const found = await problem.catch((error: Error) => error.message);
    if (found) problems.push(`WebGPU, ${label}: ${found}`);
    report.webgpu++;
  };
  for (const each of operations) await check(each.label, checkOperation(backend, each));
  for (const each of layers) await check(each.label, checkPytorch(backend, each));
  device.destroy();
  return report;
}

window.report = runAll();
