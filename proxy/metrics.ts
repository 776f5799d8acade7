import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Decision, Finding } from '../policies/types.ts';
import type { Outcome, ReviewState } from '../recorder/types.ts';
import type { ErrorCode } from './errors.ts';

export interface MetricRow {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  /** Every label takes few values: names from the configuration or from a table of the program, nothing a caller sends. */
  readonly labels: readonly string[];
  readonly buckets?: readonly number[];
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** The one table of metrics; docs/metrics.md is written from it. Each name begins with `portcullis_`. */
export const METRICS = {
  calls_total: { type: 'counter', help: 'Calls that were decided.', labels: ['connection', 'decision'] },
  calls_closed_total: { type: 'counter', help: 'Calls that ended.', labels: ['connection', 'outcome'] },
  call_duration_seconds: {
    type: 'histogram',
    help: 'From the first byte of a call to its outcome, time spent waiting for people included.',
    labels: ['connection'],
    buckets: SECONDS,
  },
  upstream_duration_seconds: {
    type: 'histogram',
    help: 'Time that calls which reached the upstream spent there.',
    labels: ['connection'],
    buckets: SECONDS,
  },
  exchanges_open: { type: 'gauge', help: 'Calls between their decision and their outcome.', labels: ['connection'] },
  holds_waiting: { type: 'gauge', help: 'Calls held open for people.', labels: [] },
  reviews_changed_total: { type: 'counter', help: 'Changes of reviews, by the new state.', labels: ['state'] },
  findings_total: {
    type: 'counter',
    help: 'What rules found, by policy and entity type.',
    labels: ['policy', 'entity'],
  },
  refusals_total: { type: 'counter', help: 'Messages refused, by the code of the error table.', labels: ['code'] },
  pins_changed_total: {
    type: 'counter',
    help: 'Tools and servers that are new and unreviewed, or not what was trusted, by state and class of the difference.',
    labels: ['connection', 'state', 'class'],
  },
  sessions_open: { type: 'gauge', help: 'Sessions of clients that are open.', labels: [] },
  rulebook_info: {
    type: 'gauge',
    help: 'Always 1; the label names the revision of the rules in force.',
    labels: ['revision'],
  },
  config_reloads_total: { type: 'counter', help: 'Reloads of the configuration file, by result.', labels: ['result'] },
  store_trouble: { type: 'gauge', help: '1 while the record cannot be written to the store, otherwise 0.', labels: [] },
} as const satisfies Record<string, MetricRow>;

export type MetricName = keyof typeof METRICS;

/** States that are read when somebody scrapes. */
export interface MetricSources {
  readonly holdsWaiting: () => number;
  readonly sessionsOpen: () => number;
  readonly storeTrouble: () => boolean;
}

/** Counts what happens. Never throws at a caller, holds no state of others, and registers nothing globally. */
export interface Metrics {
  opened(connection: string, action: Decision['action']): void;
  closed(connection: string, outcome: Outcome, totalMs: number, upstreamMs: number, findings: readonly Finding[]): void;
  refused(code: ErrorCode): void;
  reviewChanged(state: ReviewState): void;
  pinChanged(connection: string, state: string, difference: string): void;
  rulebookLoaded(revision: string): void;
  configReloaded(result: 'applied' | 'refused'): void;
  /** From now on these are asked at each scrape. */
  readFrom(sources: MetricSources): void;
  readonly contentType: string;
  /** The Prometheus exposition. */
  text(): Promise<string>;
}

// Custom entity types come from rules; a rule book of thousands must not become thousands of time series.
const MOST_ENTITIES = 200;

export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  let sources: MetricSources | undefined;
  const counter = (name: MetricName) => new Counter({ ...described(name), registers: [registry] });
  const gauge = (name: MetricName, read?: () => number) => {
    const made: Gauge = new Gauge({
      ...described(name),
      registers: [registry],
      ...(read === undefined ? {} : { collect: () => made.set(read()) }),
    });
    return made;
  };
  const histogram = (name: 'call_duration_seconds' | 'upstream_duration_seconds') =>
    new Histogram({ ...described(name), buckets: [...METRICS[name].buckets], registers: [registry] });

  const calls = counter('calls_total');
  const callsClosed = counter('calls_closed_total');
  const callDuration = histogram('call_duration_seconds');
  const upstreamDuration = histogram('upstream_duration_seconds');
  const exchangesOpen = gauge('exchanges_open');
  const reviews = counter('reviews_changed_total');
  const findingsTotal = counter('findings_total');
  const refusals = counter('refusals_total');
  const pins = counter('pins_changed_total');
  const rulebook = gauge('rulebook_info');
  const reloads = counter('config_reloads_total');
  gauge('holds_waiting', () => sources?.holdsWaiting() ?? 0);
  gauge('sessions_open', () => sources?.sessionsOpen() ?? 0);
  gauge('store_trouble', () => (sources?.storeTrouble() === true ? 1 : 0));

  // Children are bound once, so that a call costs map look-ups and additions only.
  const bind = <Key extends string, Child>(make: (key: Key) => Child): ((key: Key) => Child) => {
    const bound = new Map<Key, Child>();
    return (key) => {
      let child = bound.get(key);
      if (child === undefined) bound.set(key, (child = make(key)));
      return child;
    };
  };
  const connectionOf = bind((connection: string) => ({
    decided: bind((decision: Decision['action']) => calls.labels({ connection, decision })),
    ended: bind((outcome: Outcome) => callsClosed.labels({ connection, outcome })),
    duration: callDuration.labels({ connection }),
    upstream: upstreamDuration.labels({ connection }),
    open: exchangesOpen.labels({ connection }),
  }));
  const refusalOf = bind((code: ErrorCode) => refusals.labels({ code }));
  const entities = new Set<string>();
  const entityOf = (entity: string): string => {
    if (entities.has(entity)) return entity;
    if (entities.size >= MOST_ENTITIES) return 'other';
    entities.add(entity);
    return entity;
  };

  return {
    opened(connection, action) {
      const bound = connectionOf(connection);
      bound.decided(action).inc();
      bound.open.inc();
    },
    closed(connection, outcome, totalMs, upstreamMs, findings) {
      const bound = connectionOf(connection);
      bound.open.dec();
      bound.ended(outcome).inc();
      bound.duration.observe(totalMs / 1000);
      if (upstreamMs > 0) bound.upstream.observe(upstreamMs / 1000);
      for (const finding of findings) {
        findingsTotal.labels({ policy: finding.policy, entity: entityOf(finding.entity) }).inc(finding.count);
      }
    },
    refused(code) {
      refusalOf(code).inc();
    },
    reviewChanged(state) {
      reviews.labels({ state }).inc();
    },
    pinChanged(connection, state, difference) {
      pins.labels({ connection, state, class: difference }).inc();
    },
    rulebookLoaded(revision) {
      rulebook.reset();
      rulebook.labels({ revision }).set(1);
    },
    configReloaded(result) {
      reloads.labels({ result }).inc();
    },
    readFrom(given) {
      sources = given;
    },
    contentType: registry.contentType,
    text: () => registry.metrics(),
  };
}

function described(name: MetricName): { name: string; help: string; labelNames: string[] } {
  return { name: `portcullis_${name}`, help: METRICS[name].help, labelNames: [...METRICS[name].labels] };
}
