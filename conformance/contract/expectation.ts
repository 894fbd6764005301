/** What a plugin's room says of the plugin's examples, in `examples.ts` as `EXAMPLES`. */
export interface Expectation {
  /** the tier that runs them, where this one cannot */
  readonly runBy?: 'vm';
  /** what the result of ADD has, besides the version of the configuration */
  readonly result?: object;
}
