/** A process that looks for a GPU and tells its parent. */
import { messageOf } from '@kasane/protocol/errors';
import { openGpu } from '@kasane/worker/internal/slots/gpu';

export type GpuAnswer = { readonly name: string } | { readonly why: string };

const tell = (answer: GpuAnswer) => process.send?.(answer);
process.on('disconnect', () => process.exit(0));
try {
  const gpu = await openGpu({ backend: 'webgpu' });
  gpu!.device.destroy();
  tell({ name: gpu!.name });
} catch (error) {
  tell({ why: messageOf(error) });
}
