/** How much there is of each part of a policy. */
import type { Policy } from '../core/policy/model.ts';

export const policyCounts = ({
  routes,
  rules,
  demands,
  delegation,
  content,
  decisionPoints,
  withoutSidecar,
}: Policy) => ({
  routes: routes.length,
  rules: rules.length,
  demands: demands.length,
  delegationRules: delegation?.rules.length ?? 0,
  contentRules: content?.length ?? 0,
  decisionPoints: decisionPoints?.length ?? 0,
  withoutSidecar: withoutSidecar?.length ?? 0,
});

/** `3 routes, 2 rules, 0 demands, 1 content rules`: parts that not every policy has where it has them. */
export const countWords = (policy: Policy): string => {
  const { routes, rules, demands, delegationRules, contentRules, decisionPoints, withoutSidecar } =
    policyCounts(policy);
  const more = [
    [delegationRules, 'delegation rules'],
    [contentRules, 'content rules'],
    [decisionPoints, 'decision points'],
    [withoutSidecar, 'ways in without a sidecar'],
  ] as const;
  return [
    `${routes} routes, ${rules} rules, ${demands} demands`,
    ...more.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`),
  ].join(', ');
};
