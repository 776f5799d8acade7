/** What is wrong with a record. */
export interface Problem {
  readonly kind: 'altered' | 'missing' | 'reordered' | 'cut' | 'forged';
  /** Names the record, such as `entry 17 of writer 5f0e...` or `review rev_...`. */
  readonly record: string;
  readonly detail: string;
}

/** Reports what an audit found. */
export type Complain = (kind: Problem['kind'], record: string, detail: string) => void;
