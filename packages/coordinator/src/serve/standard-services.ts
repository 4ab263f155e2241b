/** gRPC's standard services: health and reflection. */
import { readFileSync } from 'node:fs';
import type { Server } from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';

export function addStandardServices(server: Server): void {
  const health = new HealthImplementation({
    '': 'SERVING',
    'kasane.v1.Jobs': 'SERVING',
    'kasane.v1.Training': 'SERVING',
  });
  health.addToServer(server);
  const descriptors = readFileSync(new URL(import.meta.resolve('@kasane/protocol/descriptors')));
  new ReflectionService(loadFileDescriptorSetFromBuffer(descriptors)).addToServer(server);
}
