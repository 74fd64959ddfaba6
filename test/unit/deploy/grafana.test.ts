/** The dashboard asks for figures that there are, by labels that they have. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { documentedFamilies } from '../../../config/metrics-table.ts';

interface Panel {
  readonly title: string;
  readonly type: string;
  readonly gridPos: { readonly x: number; readonly w: number };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

const { panels } = JSON.parse(
  readFileSync(new URL('../../../deploy/grafana/hopgate.json', import.meta.url), 'utf8'),
) as { readonly panels: readonly Panel[] };
const families = new Map(documentedFamilies().map((family) => [family.name, family]));
/** What Prometheus adds itself. */
const OF_ITSELF = new Set(['job', 'instance', 'le']);
const verifierPage = readFileSync(new URL('../../../docs/verifier.md', import.meta.url), 'utf8');

describe.each(panels.filter(({ type }) => type !== 'row'))('$title', ({ targets = [], gridPos }) => {
  const asked = targets.flatMap(({ expr, legendFormat }) =>
    [...expr.matchAll(/\b((?:hopgate|nodejs|process)_[a-z_]+)\b/g)].map(([, name = '']) => ({
      name,
      labels: [
        ...[...expr.matchAll(/by \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(', ')),
        ...[...expr.matchAll(/[{,]([a-z_]+)(?:=~|!=|=)"/g)].map(([, label = '']) => label),
        ...[...legendFormat.matchAll(/\{\{([a-z_]+)\}\}/g)].map(([, label = '']) => label),
      ],
    })),
  );

  it('asks for something, and has a place', () => {
    expect(asked.length).toBeGreaterThan(0);
    expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
  });

  it('asks for what there is', () => {
    for (const { name, labels } of asked) {
      if (name.startsWith('hopgate_verifier_')) {
        expect(verifierPage, name).toContain(name.slice('hopgate_verifier_'.length));
        continue;
      }
      const family = families.get(name) ?? families.get(name.replace(/_bucket$/, ''));
      expect(family, name).toBeDefined();
      for (const label of labels)
        if (!OF_ITSELF.has(label)) expect(family?.labels, `${name} by ${label}`).toContain(label);
    }
  });
});
