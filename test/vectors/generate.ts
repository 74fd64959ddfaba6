/** Writes the vectors (README.md), and the generated sections of the specification. Deterministic: fixed keys, fixed clock. */
import { writeFile } from 'node:fs/promises';
import { fileOf, GROUPS, type Group, render } from './groups.ts';
import { writeSpecification } from './spec-sections.ts';

for (const group of Object.keys(GROUPS) as Group[]) await writeFile(fileOf(group), render(GROUPS[group]()));
await writeSpecification();
