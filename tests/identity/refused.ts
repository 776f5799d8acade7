import { inspect } from 'node:util';
import type { Test } from 'tap';
import { GatewayError, type ErrorCode } from '../../proxy/errors.ts';

/** Asserts a refusal: its code, its public sentence, and that nothing of what was sent can be read from the error. */
export async function refused(
  t: Test,
  act: () => unknown,
  code: ErrorCode,
  sentence: RegExp = /./,
  sent = '',
): Promise<GatewayError | undefined> {
  let error: unknown;
  try {
    await act();
  } catch (thrown) {
    error = thrown;
  }
  if (!(error instanceof GatewayError)) {
    t.fail(`refused with ${code}`, { found: error });
    return undefined;
  }
  t.equal(error.code, code, `refused with ${code}`);
  t.match(error.message, sentence);
  const shown = inspect(error, { depth: null, showHidden: true, maxStringLength: null });
  // Any ten characters of the token would be a part of it.
  let leaked = 0;
  for (let start = 0; start + 10 <= sent.length; start += 5)
    if (shown.includes(sent.slice(start, start + 10))) leaked += 1;
  t.equal(leaked, 0, 'no part of the token is in the error');
  return error;
}
