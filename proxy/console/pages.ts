import type { JsonObject } from '../../policies/types.ts';
import { html, type Html } from './html.ts';
import { pretty } from './pretty.ts';

export const STYLE = `
:root { color-scheme: light dark; --line: #8884; --accent: #0a5; --bad: #c33; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
header { display: flex; gap: 1rem; align-items: baseline; justify-content: space-between; border-bottom: 1px solid var(--line); margin-bottom: 1rem; }
h1 { font-size: 1.3rem; } h1 a { color: inherit; text-decoration: none; } h2 { font-size: 1.1rem; }
article { border: 1px solid var(--line); border-radius: .5rem; padding: 1rem; margin: 1rem 0; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #8881; padding: .75rem; border-radius: .25rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; } dt { opacity: .7; } dd { margin: 0; overflow-wrap: anywhere; }
form.row { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; }
button { font: inherit; padding: .4rem 1rem; border-radius: .25rem; border: 1px solid var(--line); cursor: pointer; }
button.yes { background: var(--accent); color: #fff; } button.no { background: var(--bad); color: #fff; }
input { font: inherit; padding: .4rem; border: 1px solid var(--line); border-radius: .25rem; flex: 1; min-width: 10rem; }
.notice { border-left: 4px solid var(--accent); padding: .5rem 1rem; } .notice.bad { border-color: var(--bad); }
.state { border: 1px solid var(--line); border-radius: 1rem; padding: 0 .6rem; font-size: .85rem; }
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
      <form class="row" method="post" action="/login">
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
      : reviews.map((review) => reviewCard(review, viewer));
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
      ${notice(said)}${reviewCard(review, viewer)}`,
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

function reviewCard(review: JsonObject, viewer: Viewer): Html {
  const rules = review['rules'] as {
    access_request_rule_name: string;
    reviewers_groups: string[];
    min_approvals: number;
  }[];
  const votes = review['votes'] as { status: string; reviewed_by: { id: string }; review_date: string }[];
  const id = String(review['id']);
  const own = review['owner'] === viewer.id;
  return html`<article>
    <p><a href="/reviews/${id}">${id}</a> <span class="state">${String(review['status'])}</span></p>
    <dl>
      <dt>Who</dt>
      <dd>${String(review['owner'])} ${String(review['owner_email'])}</dd>
      <dt>Wants</dt>
      <dd>
        ${String(review['method'])} <strong>${String(review['name'])}</strong> on ${String(review['connection_name'])}
      </dd>
      <dt>Held by</dt>
      <dd>
        ${rules.map((rule) => html`${rule.access_request_rule_name} (${rule.min_approvals} of ${rule.reviewers_groups.join(', ')}) `)}
      </dd>
      <dt>Asked</dt>
      <dd>${String(review['created_at'])}, expires ${String(review['expires_at'])}</dd>
      <dt>Votes</dt>
      <dd>
        ${votes.length === 0 ? 'none' : votes.map((vote) => html`${vote.status} by ${vote.reviewed_by.id} at ${vote.review_date} `)}
      </dd>
      ${
        review['outcome'] === undefined
          ? undefined
          : html`<dt>Outcome</dt>
              <dd>${String(review['outcome'])}</dd>`
      }
    </dl>
    <pre>${pretty(String(review['input']))}</pre>
    ${review['status'] === 'PENDING' ? decisionForm(id, own, viewer) : undefined}
  </article>`;
}

function decisionForm(id: string, own: boolean, viewer: Viewer): Html {
  const approve = own
    ? html`<p>Your own request: somebody else must approve it.</p>`
    : html`<form class="row" method="post" action="/reviews/${id}">
        <input type="hidden" name="csrf" value="${viewer.csrf}" />
        <button class="yes" name="status" value="APPROVED">Approve</button>
      </form>`;
  // Forms of their own: Enter in the reason must never press Approve.
  return html`${approve}
    <form class="row" method="post" action="/reviews/${id}">
      <input type="hidden" name="csrf" value="${viewer.csrf}" />
      <label for="reason-${id}">Reason</label>
      <input id="reason-${id}" name="reason" maxlength="1000" placeholder="why you reject it (the agent reads this)" />
      <button class="no" name="status" value="REJECTED">Reject</button>
    </form>`;
}
