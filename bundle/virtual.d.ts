/** Made by the build: the plugins found under plugins/, each loaded when it is called for. */
declare module 'braid:registry' {
  export const registry: import('../lib/cni/suite.ts').Registry;
}

/** Made by the build: where the native part and the build's identity come from. */
declare module 'braid:build' {
  export const version: string;
  export const id: string;
  /** the shared object of this architecture */
  export const nativeBytes: () => Uint8Array;
}
