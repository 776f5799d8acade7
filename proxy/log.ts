import pino from 'pino';
import { printable } from './config/printable.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Life cycle (`info`), what an operator must act on (`warn`), broken promises (`error`). Calls are in the record, not here. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /** A log that adds these fields to each line. */
  child(fields: object): Log;
}

export interface LogOptions {
  readonly level: LogLevel;
  /** `json`: one object a line. `text`: for a terminal. */
  readonly format: 'json' | 'text';
  /** Where lines go; the process's standard error when absent. */
  readonly sink?: LogSink;
}

export interface LogSink {
  write(line: string): void;
}

const HIDDEN = '***';
const SENSITIVE = ['authorization', 'cookie', 'set-cookie', 'token', 'secret', 'value', 'password', 'credential'];

/** A logger whose lines never show what stands under a sensitive name, down to three levels. */
export function createLog(options: LogOptions): Log {
  const names = SENSITIVE.flatMap((name) => [name, capitalised(name)]).map((name) => `["${name}"]`);
  const paths = names.flatMap((name) => [name, `*${name}`, `*.*${name}`]);
  const sink = options.sink ?? pino.destination({ fd: 2, sync: true });
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths, censor: HIDDEN },
    },
    options.format === 'json' ? sink : { write: (line: string) => sink.write(asText(line)) },
  );
}

function capitalised(name: string): string {
  return name.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase());
}

/** `2026-01-02T03:04:05.678Z WARN  message key=value`; no character of it can move a terminal's cursor or turn its text around. */
function asText(line: string): string {
  const { time, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const rest = Object.entries(fields).map(([name, value]) => ` ${name}=${JSON.stringify(value)}`);
  return `${printable(`${String(time)} ${String(level).toUpperCase().padEnd(5)} ${String(msg)}${rest.join('')}`)}\n`;
}
