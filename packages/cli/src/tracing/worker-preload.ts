/** Loaded before a worker of an embedded cluster, so that it makes spans. That they do not arrive is for the command to say. */
import { installTracing } from '@kasane/protocol/internal/tracing';
import { startTracing } from './opentelemetry.ts';

installTracing(startTracing('kasane-worker', () => {}));
