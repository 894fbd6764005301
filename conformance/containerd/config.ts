import { PAUSE_IMAGE } from './image.ts';

export interface Folders {
  /** of everything that containerd keeps */
  readonly dir: string;
  /** the programs of containerd and runc */
  readonly programs: string;
  /** the plugins */
  readonly bin: string;
  readonly confDir: string;
  /** what must not be on an overlay; `dir` has it unless told */
  readonly root?: string;
  /** HOST:PORT that the CRI is served at too */
  readonly listens?: string;
}

/** One text for containerd 1.6 and later: 2 reads the version before too. */
export const configOf = ({ dir, programs, bin, confDir, root = `${dir}/root`, listens = '' }: Folders): string => `
version = 2
root = "${root}"
state = "${dir}/state"
# both use paths that are the same for all nodes
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.nri.v1.nri"]

[grpc]
  address = "${dir}/containerd.sock"
  tcp_address = "${listens}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE}"
  restrict_oom_score_adj = true # a machine without CAP_SYS_RESOURCE cannot lower it
  disable_apparmor = true
  disable_tcp_service = ${listens === ''}

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "${programs}/runc"
        Root = "${dir}/state/runc"
        SystemdCgroup = false

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${bin}"
    conf_dir = "${confDir}"
    max_conf_num = 1
`;
