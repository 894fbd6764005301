import { STATUS_SOCKET_NAME } from '../program.ts';

/** Of `braid agent`: who looks at it, and where. */
export const LOOK_HELP: readonly (readonly [string, string])[] = [
  [
    '--status FILE',
    `root's socket for "braid top", "braid trace" and metrics (default: ${STATUS_SOCKET_NAME} beside the other; "none": no socket)`,
  ],
  ['--metrics [HOST]:PORT', 'serve /metrics, /healthz and /readyz there too (default "none")'],
  [
    '--otlp URL',
    'collector for spans of calls that have a TRACEPARENT (default: OTEL_EXPORTER_OTLP_ENDPOINT; "none" exports nothing)',
  ],
  ['--log-level LEVEL', '"debug", "info" with a line for each call, "warn", "error" or "none" (default "info")'],
];
