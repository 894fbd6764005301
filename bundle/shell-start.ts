/** The beginning of a script: a shell script whose second line is a comment for Node. */
import { YOUNG } from './compiling.ts';

/** Variables that Node 26 obeys; those for OpenSSL are overruled by an option. Listing what is actually set would cost a fork. */
const UNSET = [
  ...['BENCH_CONTEXT', 'BENCH_FILE_RUN_ID', 'BENCH_RUN_ID', 'CHANNEL_FD', 'CHANNEL_SERIALIZATION_MODE'],
  ...['CLUSTER_SCHED_POLICY', 'COMPILE_CACHE', 'COMPILE_CACHE_PORTABLE', 'COMPILE_CACHE_READONLY', 'DEBUG'],
  ...['DEBUG_NATIVE', 'DISABLE_COMPILE_CACHE', 'EXTRA_CA_CERTS', 'ICU_DATA', 'INSPECT_RESUME_ON_START'],
  ...['NO_WARNINGS', 'OPTIONS', 'PATH', 'PENDING_DEPRECATION', 'PRESERVE_SYMLINKS', 'PRESERVE_SYMLINKS_MAIN'],
  ...['REDIRECT_WARNINGS', 'REPL_EXTERNAL_MODULE', 'REPL_HISTORY', 'SKIP_PLATFORM_CHECK', 'TEST_CONTEXT'],
  ...['TEST_WORKER_ID', 'TLS_REJECT_UNAUTHORIZED', 'UNIQUE_ID', 'USE_ENV_PROXY', 'USE_SYSTEM_CA', 'V8_COVERAGE'],
].map((name) => `NODE_${name}`);

/**
 * The first two lines.
 *
 * @param oldest the oldest supported Node
 */
export function shellStart(oldest: number): string {
  const answer = `{ "code": 999, "msg": "cannot find Node: Node ${oldest} or newer is needed on the PATH" }`;
  const steps = [
    `unset ${UNSET.join(' ')} UV_USE_IO_URING WATCH_REPORT_DEPENDENCIES`,
    `command -v node >/dev/null || { echo '${answer}'; exit 1; }`,
    `exec node ${YOUNG.join(' ')} --openssl-config=/dev/null "$0" "$@"`,
  ];
  return `#!/bin/sh\n':' //; ${steps.join('; ')}\n`;
}
