import { answers, callBody, headersOf, requestBody, SIZES, toolOf } from './payload.ts';
import { BLOCKED_TEXT, FORBIDDEN_TOOL, type GatewayRow } from './rows.ts';

/** Throws unless every control of the row is in force, and none that it does not name: a fast row that checks nothing is worth nothing. */
export async function checkControls(row: GatewayRow, port: number, token: string | undefined): Promise<void> {
  const ask = async (
    tool: string,
    body: string | Buffer,
    bearer = token,
  ): Promise<{ status: number; text: string }> => {
    const response = await fetch(`http://127.0.0.1:${port}/mcp`, {
      method: 'POST',
      headers: headersOf(tool, bearer),
      body,
    });
    return { status: response.status, text: await response.text() };
  };
  const demand = (fine: boolean, what: string, got: { status: number; text: string }): void => {
    if (!fine) throw new Error(`row "${row.name}": ${what}; got status ${got.status}: ${got.text.slice(0, 400)}`);
  };
  const clean = toolOf(SIZES[0]!, false);
  const personal = toolOf(SIZES[0]!, true);

  const plain = await ask(clean, requestBody(clean));
  demand(
    plain.status === 200 && plain.text === String(answers().get(clean)),
    'a clean answer must arrive byte for byte',
    plain,
  );

  if (row.controls.token) {
    const stranger = await ask(clean, requestBody(clean), 'nonsense');
    demand(stranger.status === 401, 'a call with a wrong token must be refused', stranger);
  }
  const blocked = await ask(clean, callBody(clean, BLOCKED_TEXT));
  demand(isRefused(blocked.text) === row.controls.guardrails, 'only guardrails refuse the forbidden words', blocked);

  const forbidden = await ask(FORBIDDEN_TOOL, callBody(FORBIDDEN_TOOL, 'select 1'));
  demand(
    forbidden.text.includes('Unknown tool') === row.controls.access,
    'only access rules hide the forbidden tool',
    forbidden,
  );

  const masked = await ask(personal, requestBody(personal));
  demand(
    masked.text.includes('@example.com') !== row.controls.masking,
    'only masking hides the e-mail address',
    masked,
  );
}

function isRefused(text: string): boolean {
  return text.includes('"isError":true') || text.includes('"error":{');
}
