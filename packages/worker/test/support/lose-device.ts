/** Loaded into every thread before anything else: the device of the first compute thread goes away in its second run. */
import { threadId } from 'node:worker_threads';

if (threadId === 1) {
  const { globals } = await import('webgpu');
  const { prototype } = (globals as { GPUAdapter: { prototype: GPUAdapter } }).GPUAdapter;
  const request = prototype.requestDevice;
  prototype.requestDevice = async function (descriptor) {
    const device = await request.call(this, descriptor);
    const submit = device.queue.submit.bind(device.queue);
    let submissions = 0;
    Object.defineProperty(device.queue, 'submit', {
      value: (buffers: GPUCommandBuffer[]) => {
        if (++submissions === 2) device.destroy();
        submit(buffers);
      },
    });
    const { queue } = device;
    Object.defineProperty(device, 'queue', { value: queue });
    return device;
  };
}
