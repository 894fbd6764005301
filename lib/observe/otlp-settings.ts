/** What the environment says of a collector: https://opentelemetry.io/docs/specs/otel/protocol/exporter */
import type { Env } from '../sys/execute.ts';
import { type Attribute, attribute } from './otlp.ts';
import type { Target } from './post.ts';

export interface Collector extends Target {
  /** what tells spans of one process from those of another */
  readonly resource: readonly Attribute[];
}

const SIGNAL_PATH = '/v1/traces';
const TIMEOUT_MS = 10_000;

/**
 * @param base the URL that the command line has, in place of the environment's
 * @returns undefined where nothing is to be exported
 * @throws Error when it is no URL of HTTP
 */
export function collectorIn(env: Env, base: string | undefined, own: Readonly<Record<string, string>>) {
  if (env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true' || env['OTEL_TRACES_EXPORTER'] === 'none') {
    return undefined;
  }
  const whole = base === undefined ? set(env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT']) : undefined;
  const short = base ?? set(env['OTEL_EXPORTER_OTLP_ENDPOINT']);
  const text = whole ?? (short === undefined ? undefined : `${short.replace(/\/+$/, '')}${SIGNAL_PATH}`);
  if (text === undefined) {
    return undefined;
  }
  const url = URL.parse(text);
  if (url === null || !['http:', 'https:'].includes(url.protocol)) {
    throw new Error(`cannot export spans to "${text}": write "http://HOST:4318"`);
  }
  const timeout = Number(set(env['OTEL_EXPORTER_OTLP_TRACES_TIMEOUT'] ?? env['OTEL_EXPORTER_OTLP_TIMEOUT']));
  const collector: Collector = {
    url,
    headers: {
      ...pairsOf(env['OTEL_EXPORTER_OTLP_HEADERS']),
      ...pairsOf(env['OTEL_EXPORTER_OTLP_TRACES_HEADERS']),
    },
    timeoutMs: timeout > 0 ? timeout : TIMEOUT_MS,
    resource: Object.entries({
      ...own,
      ...pairsOf(env['OTEL_RESOURCE_ATTRIBUTES']),
      ...(set(env['OTEL_SERVICE_NAME']) === undefined ? {} : { 'service.name': env['OTEL_SERVICE_NAME'] ?? '' }),
    }).map(([key, value]) => attribute(key, value)),
  };
  return collector;
}

/** What is empty is not set. */
const set = (text: string | undefined): string | undefined => (text?.trim() === '' ? undefined : text?.trim());

/** `a=b,c=d`, with characters escaped as in a URL */
function pairsOf(text = ''): Readonly<Record<string, string>> {
  const pairs = text.split(',').flatMap((pair) => {
    const at = pair.indexOf('=');
    return at < 1 ? [] : [[pair.slice(0, at).trim(), unescaped(pair.slice(at + 1).trim())] as const];
  });
  return Object.fromEntries(pairs);
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
