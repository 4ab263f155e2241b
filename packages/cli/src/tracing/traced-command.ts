/** A command whose spans somebody wants. */
import { installTracing } from '@kasane/protocol/internal/tracing';
import type { Command } from 'commander';
import { makeLog } from '../output/log.ts';
import type { LogFormat } from '../program/options.ts';
import { startTracing } from './opentelemetry.ts';

/** Those that go on: what they do has spans of its own, and the one of such a command would never end. */
const STAY: readonly string[] = ['coordinator', 'worker', 'dashboard', 'top'];
const SERVES: readonly string[] = ['coordinator', 'worker'];

/**
 * From now on this process makes spans, and unless it serves, what it asks for is part of one for the command.
 * @returns what ends that span and sends what is left; it never rejects
 */
export function traceCommand(command: Command): (exitCode: number) => Promise<void> {
  const name = command.name();
  const { logFormat } = command.opts<{ logFormat?: LogFormat }>();
  const warn = (text: string) => makeLog('warn', logFormat).warn(text);
  const wrong = whatIsWrong(process.env);
  if (wrong) {
    warn(`no spans are exported: ${wrong}`);
    return async () => {};
  }
  const traces = startTracing(SERVES.includes(name) ? `kasane-${name}` : 'kasane-cli', warn);
  if (STAY.includes(name)) {
    installTracing(traces);
    return () => traces.stop();
  }
  const span = traces.begin(`kasane ${name}`, {});
  installTracing({
    ...traces,
    get active() {
      return traces.active ?? span.traceparent;
    },
  });
  return (exitCode) => {
    span.end(exitCode === 0 ? undefined : `exit code ${exitCode}`);
    return traces.stop();
  };
}

function whatIsWrong(env: NodeJS.ProcessEnv): string | undefined {
  const protocol = env.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL || env.OTEL_EXPORTER_OTLP_PROTOCOL;
  if (protocol === 'grpc')
    return 'OTEL_EXPORTER_OTLP_PROTOCOL=grpc, but spans are exported over HTTP: unset it, and use the HTTP port, usually 4318';
  for (const name of ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT'])
    if (env[name] && !URL.canParse(env[name]))
      return `${name}=${env[name]} is not a URL; expected one such as http://127.0.0.1:4318`;
  return undefined;
}
