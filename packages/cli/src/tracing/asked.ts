/** Whether spans are wanted. Imports nothing: what sends them is loaded only then. */

/** Whether OpenTelemetry's variables name somebody to send spans to. */
export function spansAsked(env: NodeJS.ProcessEnv = process.env): boolean {
  const off = env.OTEL_SDK_DISABLED?.toLowerCase() === 'true' || env.OTEL_TRACES_EXPORTER === 'none';
  return !off && Boolean(env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT || env.OTEL_EXPORTER_OTLP_ENDPOINT);
}
