import type { JsonObject } from '../../policies/types.ts';
import { html, type Html } from './html.ts';
import { pretty, prettyArguments } from './pretty.ts';

export const STYLE = `
:root { color-scheme: light dark; --line: #8885; --soft: #8881; --accent: #087f4d; --bad: #b42318; --wait: #b25e09; }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 0 1rem 3rem; }
header { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: center; justify-content: space-between; border-bottom: 1px solid var(--line); padding: .75rem 0; }
h1 { font-size: 1.25rem; margin: 0; } h1 a { color: inherit; text-decoration: none; }
h2 { font-size: 1.1rem; margin: 1.5rem 0 .75rem; } h3 { font-size: 1.05rem; font-weight: 500; margin: 0; overflow-wrap: anywhere; }
article { border: 1px solid var(--line); border-radius: .5rem; padding: 1rem; margin: 1rem 0; }
.top { display: flex; gap: .5rem 1rem; align-items: baseline; justify-content: space-between; }
pre { font: .9rem/1.5 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; background: var(--soft); padding: .75rem; border-radius: .375rem; margin: .75rem 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; font-size: .925rem; margin: .75rem 0; } dt { opacity: .7; } dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
details { margin: .75rem 0; font-size: .925rem; } summary { cursor: pointer; opacity: .8; }
form.row, .decide { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; } .decide form.row:last-child { flex: 1; justify-content: flex-end; }
.login { display: grid; gap: .5rem; max-width: 28rem; }
button { font: inherit; padding: .4rem 1rem; border-radius: .375rem; border: 1px solid var(--line); cursor: pointer; }
button.yes { background: var(--accent); border-color: var(--accent); color: #fff; } button.no { background: var(--bad); border-color: var(--bad); color: #fff; }
input { font: inherit; padding: .4rem .6rem; border: 1px solid var(--line); border-radius: .375rem; flex: 1; min-width: 12rem; max-width: 28rem; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.notice { border-left: 4px solid var(--accent); background: var(--soft); padding: .5rem 1rem; } .notice.bad { border-color: var(--bad); }
.state { border-radius: 1rem; padding: .05rem .6rem; font-size: .8rem; font-weight: 600; color: #fff; background: #667085; }
.state.PENDING { background: var(--wait); } .state.APPROVED, .state.EXECUTED { background: var(--accent); } .state.REJECTED, .state.REVOKED { background: var(--bad); }
`;

export interface Viewer {
  readonly id: string;
  readonly groups: readonly string[];
  readonly csrf: string;
}

export interface Notice {
  readonly text: string;
  readonly bad: boolean;
}

function page(title: string, viewer: Viewer | undefined, body: Html): string {
  const account =
    viewer &&
    html`<form class="row" method="post" action="/logout">
      <input type="hidden" name="csrf" value="${viewer.csrf}" /><span>${viewer.id} (${viewer.groups.join(', ')})</span
      ><button>Sign out</button>
    </form>`;
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title} - Portcullis</title>
        <link rel="stylesheet" href="/assets/console.css" />
      </head>
      <body>
        <header>
          <h1><a href="/">Portcullis</a></h1>
          ${account}
        </header>
        <main>${body}</main>
      </body>
    </html>`.text;
}

const notice = (it: Notice | undefined): Html | undefined =>
  it && html`<p class="${it.bad ? 'notice bad' : 'notice'}" role="status">${it.text}</p>`;

export function loginPage(said: Notice | undefined, next: string): string {
  return page(
    'Sign in',
    undefined,
    html`<h2>Sign in</h2>
      ${notice(said)}
      <p>Sign in with a gateway token to see and decide the calls that wait for approval.</p>
      <form class="login" method="post" action="/login">
        <input type="hidden" name="next" value="${next}" />
        <label for="token">Gateway token</label>
        <input id="token" name="token" type="password" autocomplete="off" required autofocus />
        <button class="yes">Sign in</button>
      </form>`,
  );
}

export function inboxPage(reviews: readonly JsonObject[], viewer: Viewer, said: Notice | undefined): string {
  const body =
    reviews.length === 0
      ? html`<p>Nothing waits for approval.</p>`
      : reviews.map((review) =>
          String(review['input']).length > LONGEST ? longCard(review) : reviewCard(review, viewer),
        );
  return page(
    'Approvals',
    viewer,
    html`<h2>Waiting for approval</h2>
      ${notice(said)}${body}`,
  );
}

export function reviewPage(review: JsonObject, viewer: Viewer, said: Notice | undefined): string {
  return page(
    'Review',
    viewer,
    html`<h2>Review</h2>
      ${notice(said)}${reviewCard(review, viewer)}
      <p><a href="/">All that waits for approval</a></p>`,
  );
}

export function messagePage(title: string, text: string): string {
  return page(
    title,
    undefined,
    html`<h2>${title}</h2>
      <p>${text}</p>`,
  );
}

// Beyond it the inbox would be no list any more; what is not shown cannot be decided there either.
const LONGEST = 20_000;

function longCard(review: JsonObject): Html {
  return html`<article>
    ${headline(review)}
    <p>Its arguments are long: <a href="/reviews/${String(review['id'])}">open the review</a> to see and decide it.</p>
  </article>`;
}

function headline(review: JsonObject): Html {
  const status = String(review['status']);
  return html`<div class="top">
    <h3>
      ${String(review['owner'])} wants <strong>${String(review['name']) || String(review['method'])}</strong> on
      <strong>${String(review['connection_name'])}</strong>
    </h3>
    <span class="state ${status}">${status}</span>
  </div>`;
}

function reviewCard(review: JsonObject, viewer: Viewer): Html {
  const rules = review['rules'] as {
    access_request_rule_name: string;
    reviewers_groups: string[];
    min_approvals: number;
  }[];
  const id = String(review['id']);
  const status = String(review['status']);
  const input = String(review['input']);
  const given = review['kind'] === 'tool' || review['kind'] === 'prompt' ? prettyArguments(input) : undefined;
  const held = rules.map(
    (rule) => `${rule.access_request_rule_name} (${rule.min_approvals} of ${rule.reviewers_groups.join(', ')})`,
  );
  return html`<article>
    ${headline(review)}
    <pre>${given ?? pretty(input)}</pre>
    ${
      given === undefined
        ? undefined
        : html`<details>
            <summary>All parameters of ${String(review['method'])}</summary>
            <pre>${pretty(input)}</pre>
          </details>`
    }
    <dl>
      <dt>Review</dt>
      <dd><a href="/reviews/${id}">${id}</a></dd>
      ${review['owner_email'] === '' ? undefined : row('E-mail', String(review['owner_email']))}
      ${row('Held by', held.join('; '))} ${row('Asked', when(review['created_at']))}
      ${status === 'PENDING' ? row('Expires', when(review['expires_at'])) : undefined} ${votes(review)}
      ${review['outcome'] === undefined ? undefined : row('Outcome', String(review['outcome']))}
    </dl>
    ${status === 'PENDING' ? decisionForm(id, review['owner'] === viewer.id, viewer) : undefined}
  </article>`;
}

const row = (name: string, value: Html | string): Html =>
  html`<dt>${name}</dt>
    <dd>${value}</dd>`;

/** `2026-01-02T03:04:05.678Z` as people read it. */
function when(time: unknown): Html {
  const text = String(time);
  return html`<time datetime="${text}">${text.slice(0, 19).replace('T', ' ')} UTC</time>`;
}

function votes(review: JsonObject): Html {
  const cast = review['votes'] as {
    status: string;
    reason?: string;
    reviewed_by: { id: string };
    review_date: string;
  }[];
  if (cast.length === 0) return row('Votes', 'none yet');
  const each = cast.map(({ status, reason, reviewed_by: by, review_date: at }) => {
    const why = reason === undefined ? undefined : html`: ${reason}`;
    return html`<div>${status} by ${by.id}, ${when(at)}${why}</div>`;
  });
  return html`<dt>Votes</dt>
    <dd>${each}</dd>`;
}

function decisionForm(id: string, own: boolean, viewer: Viewer): Html {
  const approve = own
    ? html`<span>Your own request: somebody else must approve it.</span>`
    : html`<form class="row" method="post" action="/reviews/${id}">
        <input type="hidden" name="csrf" value="${viewer.csrf}" />
        <button class="yes" name="status" value="APPROVED">Approve</button>
      </form>`;
  // Forms of their own: Enter in the reason must never press Approve.
  return html`<div class="decide">
    ${approve}
    <form class="row" method="post" action="/reviews/${id}">
      <input type="hidden" name="csrf" value="${viewer.csrf}" />
      <input
        name="reason"
        maxlength="1000"
        aria-label="Reason for a rejection"
        placeholder="Reason (the agent reads it)"
      />
      <button class="no" name="status" value="REJECTED">Reject</button>
    </form>
  </div>`;
}
