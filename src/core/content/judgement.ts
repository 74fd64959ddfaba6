/** What follows from what was seen of one body: findings by rule, and the denial of the first rule that stops it. */
import type { ReasonCode } from '../reasons.ts';
import { deny } from '../verdict.ts';
import type { CompiledRule, ContentSelection } from './compile.ts';
import type { BodyHead, ContentDenial, Finding } from './model.ts';
import type { Sighting } from './scanner.ts';
import { mediaTypeOf } from './text.ts';

const typeAllowed = (types: readonly string[], media: string): boolean =>
  types.some(
    (type) =>
      type === '*/*' || type === media || (type.endsWith('/*') && media.startsWith(type.slice(0, -1))),
  );

interface Stop {
  readonly rule: CompiledRule;
  readonly reason: ReasonCode;
  readonly detail: string;
  readonly finding: Finding;
}

const VIEWS: readonly Finding['view'][] = ['text', 'base64'];
/** What is known of a body before its text is comes first, so that the same denial falls however the text came. */
const REASONS: readonly ReasonCode[] = [
  'content_type',
  'content_too_large',
  'content_unreadable',
  'content_denied',
];

const byPlace = (a: Finding, b: Finding): number =>
  (a.event ?? 0) - (b.event ?? 0) ||
  VIEWS.indexOf(a.view) - VIEWS.indexOf(b.view) ||
  a.at - b.at ||
  (a.pattern < b.pattern ? -1 : a.pattern > b.pattern ? 1 : 0);

export class Judgement {
  private readonly found: Finding[] = [];
  private readonly selection: ContentSelection;
  private readonly stops: Stop[] = [];
  private readonly once = new Map<string, Set<CompiledRule>>();

  constructor(selection: ContentSelection) {
    this.selection = selection;
  }

  /** By place. */
  get findings(): readonly Finding[] {
    return [...this.found].sort(byPlace);
  }

  /** The denial, once there is one: by what it is about, deny before quarantine, the order of the policy, the place. */
  get denial(): ContentDenial | undefined {
    if (this.stops.length === 0) return undefined;
    const { rules } = this.selection;
    const rank = ({ rule, reason }: Stop): number =>
      Math.max(1, REASONS.indexOf(reason)) * 2 * rules.length +
      (rule.rule.action === 'deny' ? 0 : rules.length) +
      rules.indexOf(rule);
    const [first] = [...this.stops].sort((a, b) => rank(a) - rank(b) || byPlace(a.finding, b.finding));
    if (first === undefined) return undefined;
    const { name, action } = first.rule.rule;
    return {
      ...deny(first.reason, `content rule ${name}: ${first.detail}`),
      rule: name,
      action: action === 'quarantine' ? 'quarantine' : 'deny',
    };
  }

  /** The type, where there is a body. Refuses with `content_type`. */
  type({ contentType }: BodyHead): void {
    const media = mediaTypeOf(contentType);
    for (const rule of this.selection.rules) {
      const { types } = rule.rule;
      if (types !== undefined && !typeAllowed(types, media))
        this.find(rule, 'content_type', 'type', 'a media type that it does not let through');
    }
  }

  /** So many octets, so far or announced. Refuses with `content_too_large`. */
  size(octets: number): void {
    for (const rule of this.selection.rules) {
      const { maxBytes } = rule.rule;
      if (maxBytes !== undefined && octets > maxBytes)
        this.find(rule, 'content_too_large', 'size', `more than ${maxBytes} octets`);
    }
  }

  /** More than may be held, by all rules that look: none of them does so any more. Refuses with `content_too_large`. */
  unheld(what: string): void {
    const { rules, holdBytes } = this.selection;
    for (const rule of rules)
      if (rule.sets.length > 0 || rule.rule.maxBytes !== undefined)
        this.find(rule, 'content_too_large', 'size', `${what} of more than ${holdBytes} octets`);
  }

  /** What can't be read, by the rules that would. Refuses with `content_unreadable`. */
  unreadable(detail: string): void {
    for (const rule of this.selection.rules)
      if (rule.sets.length > 0) this.find(rule, 'content_unreadable', 'reading', detail);
  }

  /** Refuses with `content_denied`. */
  see(sightings: readonly Sighting[], event?: number): void {
    for (const { set, pattern, view, at, length } of sightings) {
      for (const rule of this.selection.rules) {
        if (!rule.sets.includes(set)) continue;
        const finding = this.add(rule, set.detector, {
          pattern,
          view,
          at,
          length,
          ...(event !== undefined && { event }),
        });
        if (!rule.stops) continue;
        const where = `${event === undefined ? '' : `event ${event}, `}character ${at}${view === 'text' ? '' : ' of what base64 says'}`;
        this.stops.push({ rule, reason: 'content_denied', detail: `${pattern} at ${where}`, finding });
      }
    }
  }

  /** What a body is, and not what it says: told once by each rule. */
  private find(rule: CompiledRule, reason: ReasonCode, detector: string, detail: string): void {
    const told = this.once.get(detector) ?? new Set();
    if (told.has(rule)) return;
    this.once.set(detector, told.add(rule));
    const finding = this.add(rule, detector, { pattern: detector, view: 'text', at: 0, length: 0 });
    if (rule.stops) this.stops.push({ rule, reason, detail, finding });
  }

  private add(
    { rule }: CompiledRule,
    detector: string,
    found: Pick<Finding, 'pattern' | 'view' | 'at' | 'length' | 'event'>,
  ): Finding {
    const finding = {
      rule: rule.name,
      action: rule.action,
      shadow: rule.shadow === true,
      detector,
      ...found,
    };
    this.found.push(finding);
    return finding;
  }
}
