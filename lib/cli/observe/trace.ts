import { writeFileSync } from 'node:fs';
import type { ToldCall } from '../../agent/observe/status.ts';
import type { Scope } from '../../cni/scope.ts';
import type { Env } from '../../sys/execute.ts';
import { ioError } from '../../sys/io-error.ts';
import { readOptions, WrongUsage } from '../options.ts';
import { askAgent, STATUS_SOCKET } from './ask-agent.ts';
import { type Work, worksOf } from './rows.ts';
import { tracePicture, traceSvg } from './trace-picture.ts';

/** `braid trace` */
export async function trace(
  env: Env,
  args: readonly string[],
  _scope: Scope,
  print: (line: string) => void,
): Promise<number> {
  const { values, positionals } = readOptions(
    args,
    {
      status: { type: 'string', default: STATUS_SOCKET },
      svg: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
    1,
  );
  const [pod] = positionals;
  if (pod === undefined || pod === '') {
    throw new WrongUsage('expected a pod, or the beginning of a container ID');
  }
  const calls = await askAgent<readonly ToldCall[]>(values.status, `/calls?of=${encodeURIComponent(pod)}`);
  const works = worksOf(calls);
  if (works.length === 0) {
    throw new Error(`cannot find calls for "${pod}": the agent knows its last 1000 calls, and none is for it`);
  }
  if (values.svg !== undefined) {
    writePicture(values.svg, works);
  }
  if (values.json) {
    print(JSON.stringify(works));
  } else if (values.svg === undefined) {
    works.flatMap((work, index) => [...(index === 0 ? [] : ['']), ...tracePicture(work, blockIn(env))]).map(print);
  }
  return 0;
}

function writePicture(path: string, works: readonly Work[]): void {
  try {
    writeFileSync(path, traceSvg(works));
  } catch (error) {
    throw ioError('write', path, error);
  }
}

/** locale(7): the first that is set counts. */
function blockIn(env: Env): string {
  const locale = ['LC_ALL', 'LC_CTYPE', 'LANG'].map((name) => env[name] ?? '').find((text) => text !== '') ?? '';
  return /utf-?8/i.test(locale) ? '█' : '#';
}
