/** Somebody who collects spans: an OTLP receiver over HTTP, as an OpenTelemetry Collector or Jaeger is one. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { CleanUp } from './cluster.ts';

export interface ReceivedSpan {
  readonly service: string;
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for the first of a trace. */
  readonly parentSpanId: string;
  /** Nanoseconds since 1970. */
  readonly start: bigint;
  readonly end: bigint;
  readonly attributes: ReadonlyMap<string, string | number>;
  /** Span ids. */
  readonly links: readonly string[];
  readonly events: readonly string[];
  /** Of a span that failed, why. */
  readonly failure: string | undefined;
}

interface Attribute {
  readonly key: string;
  readonly value: { readonly stringValue?: string; readonly intValue?: number | string };
}

/** The parts of an ExportTraceServiceRequest, as JSON, that we look at. */
interface Request {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly {
      readonly spans: readonly {
        readonly name: string;
        readonly traceId: string;
        readonly spanId: string;
        readonly parentSpanId?: string;
        readonly startTimeUnixNano: string;
        readonly endTimeUnixNano: string;
        readonly attributes?: readonly Attribute[];
        readonly links?: readonly { readonly spanId: string }[];
        readonly events?: readonly { readonly name: string }[];
        readonly status?: { readonly code?: number; readonly message?: string };
      }[];
    }[];
  }[];
}

export class SpanReceiver {
  readonly spans: ReceivedSpan[] = [];
  /** What is asked for with these. */
  readonly env: Readonly<Record<string, string>>;

  private constructor(port: number) {
    this.env = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` };
  }

  static async start(cleanUp: CleanUp): Promise<SpanReceiver> {
    const server = createServer(async (request, response) => {
      const parts: Buffer[] = [];
      for await (const part of request) parts.push(part as Buffer);
      const known = request.method === 'POST' && request.url === '/v1/traces';
      if (known) receiver.#receive(JSON.parse(Buffer.concat(parts).toString()) as Request);
      response.writeHead(known ? 200 : 404, { 'content-type': 'application/json' }).end('{}');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanUp.add(() => {
      server.closeAllConnections();
      server.close();
    });
    const receiver = new SpanReceiver((server.address() as AddressInfo).port);
    return receiver;
  }

  /** Spans of this name. */
  named(name: string): ReceivedSpan[] {
    return this.spans.filter((span) => span.name === name);
  }

  #receive({ resourceSpans }: Request): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      const service = String(valuesOf(resource.attributes).get('service.name'));
      for (const span of scopeSpans.flatMap(({ spans }) => spans)) {
        const { name, traceId, spanId, parentSpanId = '', attributes = [], status } = span;
        this.spans.push({
          ...{ service, name, traceId, spanId, parentSpanId },
          start: BigInt(span.startTimeUnixNano),
          end: BigInt(span.endTimeUnixNano),
          attributes: valuesOf(attributes),
          links: (span.links ?? []).map((link) => link.spanId),
          events: (span.events ?? []).map((event) => event.name),
          failure: status?.code === 2 ? (status.message ?? '') : undefined,
        });
      }
    }
  }
}

const valuesOf = (attributes: readonly Attribute[]) =>
  new Map(attributes.map(({ key, value }) => [key, value.stringValue ?? Number(value.intValue)] as const));
