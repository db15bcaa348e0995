export { runCli } from './run-cli.js';
export type { CliHost, Environment, TextSink } from './terminal/host.js';
