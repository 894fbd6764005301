/** Comes before each file of tests. They take the machine's network cards: it must be the virtual one. */
if (process.env['BRAID_IN_VM'] !== '1') {
  throw new Error('these tests take network cards and run in a virtual machine only: use "conformance/vm/test"');
}

// Keeps this file a module.
export {};
