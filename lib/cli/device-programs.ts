/** The Go device plugins by their names and flags, so that their manifests start this program as they are. */
import { KUBELET_FOLDER, RDMA_CONFIG, SRIOV_CONFIG, SRIOV_PREFIX } from './program.ts';

/** What is to be done: a command of `braid`, or only to print and leave. */
export type Told =
  | { readonly args: readonly string[] }
  | { readonly exitCode: number; readonly printed: readonly string[]; readonly logged: readonly string[] };

type Kind = 'text' | 'switch';
type Flags = Readonly<Record<string, Kind>>;

/** Of the logger: accepted, as what we log is always on stderr. */
const GLOG: Flags = {
  v: 'text',
  vmodule: 'text',
  log_backtrace_at: 'text',
  logtostderr: 'switch',
  alsologtostderr: 'switch',
  stderrthreshold: 'text',
  log_dir: 'text',
  log_link: 'text',
  logbuflevel: 'text',
};
/** Of the script that the Go image starts. */
const WRAPPER: Flags = { 'log-dir': 'text', 'log-level': 'text' };

const HELP: Flags = { h: 'switch', help: 'switch' };
const FILE_AND_CDI: Flags = { 'config-file': 'text', 'use-cdi': 'switch' };

const FLAGS: Readonly<Record<string, Flags>> = {
  sriovdp: { ...FILE_AND_CDI, 'resource-prefix': 'text', ...GLOG, ...WRAPPER, ...HELP },
  'k8s-rdma-shared-dp': { ...FILE_AND_CDI, version: 'switch', v: 'switch', ...HELP },
};

/** What the Go image starts, by its name in ours. */
const ALIASES: Readonly<Record<string, string>> = { 'entrypoint.sh': 'sriovdp' };

const WRONG_USAGE = 2;

/** Whether a program has the name of one of them. */
export const isDeviceProgram = (name: string): boolean => Object.hasOwn(FLAGS, ALIASES[name] ?? name);

/** What one of them is told by its arguments, which are read as Go reads flags: one dash or two, `=` or a blank. */
export function toldTo(called: string, args: readonly string[], version: string): Told {
  const name = ALIASES[called] ?? called;
  const flags = FLAGS[name] ?? {};
  const values = new Map<string, string>();
  for (let rest = args; rest[0] !== undefined; ) {
    const [, flag = '', given] = /^--?([^=-][^=]*)(?:=(.*))?$/s.exec(rest[0]) ?? [];
    if (flag === '') {
      break; // as in Go, the first word that is no flag ends them
    }
    const kind = flags[flag];
    if (kind === undefined) {
      return wrong(name, `flag provided but not defined: -${flag}`, flags);
    }
    const isApart = kind === 'text' && given === undefined;
    const value = isApart ? rest[1] : (given ?? 'true');
    if (value === undefined) {
      return wrong(name, `flag needs an argument: -${flag}`, flags);
    }
    if (kind === 'switch' && !isTruth(value) && !isUntruth(value)) {
      return wrong(name, `invalid boolean value ${JSON.stringify(value)} for -${flag}`, flags);
    }
    values.set(flag, value);
    rest = rest.slice(isApart ? 2 : 1);
  }
  return told(name, values, version);
}

function told(name: string, values: ReadonlyMap<string, string>, version: string): Told {
  const isOn = (flag: string): boolean => isTruth(values.get(flag) ?? 'false');
  if (isOn('h') || isOn('help')) {
    return { exitCode: 0, printed: usageOf(name), logged: [] };
  }
  const cdi = isOn('use-cdi') ? ['--use-cdi'] : [];
  if (name === 'sriovdp') {
    const [file, prefix] = [values.get('config-file') ?? SRIOV_CONFIG, values.get('resource-prefix') ?? SRIOV_PREFIX];
    return { args: ['device-plugins', '--config-file', file, '--resource-prefix', prefix, ...cdi] };
  }
  if (isOn('version') || isOn('v')) {
    return { exitCode: 0, printed: [`${name} of braid ${version}`], logged: [] };
  }
  return { args: ['device-plugins', '--rdma-config-file', values.get('config-file') ?? RDMA_CONFIG, ...cdi] };
}

/** https://pkg.go.dev/strconv#ParseBool */
const isTruth = (text: string): boolean => /^(1|t|T|true|TRUE|True)$/.test(text);
const isUntruth = (text: string): boolean => /^(0|f|F|false|FALSE|False)$/.test(text);

const wrong = (name: string, why: string, flags: Flags): Told => ({
  exitCode: WRONG_USAGE,
  printed: [],
  logged: [
    why,
    `usage of ${name}: ${Object.keys(flags)
      .map((flag) => `-${flag}`)
      .join(' ')}`,
  ],
});

function usageOf(name: string): readonly string[] {
  return [
    `usage: ${name} ${Object.keys(FLAGS[name] ?? {})
      .map((flag) => `[-${flag}]`)
      .join(' ')}`,
    `the same as "braid device-plugins", for the kubelet in ${KUBELET_FOLDER}`,
  ];
}
