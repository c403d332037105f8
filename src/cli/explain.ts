import { fileFault, isFileFault } from '../base/file-fault.ts';

/** An error as a person at a terminal should read it: a sentence and what to do, no stack for what is not our fault. */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, port, address } = systemFields(error);
  if (code === 'EADDRINUSE') {
    return `Port ${port} on ${address} is in use. Choose another with --http-port, --mqtt-port or (demo) --inbox-port; 0 picks a free one. "ss -ltnp" shows who has it.`;
  }
  if (code === 'EACCES' && port !== '') {
    return `Port ${port} on ${address} needs more rights than this process has; ports from 1024 on do not.`;
  }
  if (code === 'EADDRNOTAVAIL') return `${address} is not an address of this machine; see --http-host and --mqtt-host.`;
  if (isFileFault(error)) return `${error.path ?? 'A file'}: ${fileFault(error)}.`;
  return expected.has(error.name) ? error.message : (error.stack ?? error.message);
}

/** Errors whose message was written for people. */
const expected = new Set([
  'ConfigError',
  'EngineOpenError',
  'CatalogError',
  'DataLockedError',
  'BindRefusedError',
  'StartRefusedError',
  'RejectedError',
  'GatewayAnswerError',
  'ImportFileError',
  'BackupError',
  'StoreRefusedError',
  'ExportFileError',
]);

/** The fields of a system error, as text; empty where it has none. */
function systemFields(error: Error): { readonly code: string; readonly port: string; readonly address: string } {
  const field = (name: string): string => {
    const value: unknown = Reflect.get(error, name);
    return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
  };
  return { code: field('code'), port: field('port'), address: field('address') };
}
