/** The packages of other people that are in the bundle: their licences, for people, and a bill of materials, for scanners. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

export interface ThirdParty {
  readonly name: string;
  readonly version: string;
  /** SPDX. */
  readonly license: string;
  /** Licence files and notices, whole. */
  readonly texts: readonly string[];
}

const LICENSE_FILE = /^(licen[cs]e|notice|copying)([.-].*)?$/i;
const FOLDER = /^.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+(?=[\\/])/;

const packageIn = (folder: string): ThirdParty => {
  const { name, version, license } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as {
    readonly name: string;
    readonly version: string;
    readonly license?: string;
  };
  if (typeof license !== 'string') throw new Error(`${name} names no licence`);
  const files = readdirSync(folder).filter((file) => LICENSE_FILE.test(file));
  const texts = files.sort().map((file) => readFileSync(path.join(folder, file), 'utf8').trim());
  return { name, version, license, texts };
};

/** By modules' files; sorted. A package that is there twice in one version is named once. */
export const packagesOf = (modules: readonly string[]): readonly ThirdParty[] => {
  const folders = new Set(modules.flatMap((id) => FOLDER.exec(id)?.[0] ?? []));
  const found = new Map([...folders].map(packageIn).map((one) => [`${one.name}@${one.version}`, one]));
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
};

export const noticesOf = (packages: readonly ThirdParty[]): string =>
  [
    'Hopgate contains the packages below, each under its own licence.',
    ...packages.map(
      ({ name, version, license, texts }) =>
        `${'='.repeat(80)}\n${name} ${version} (${license})\n\n${texts.length === 0 ? 'The package has no licence file.' : texts.join('\n\n')}`,
    ),
    '',
  ].join('\n\n');

/** CycloneDX 1.6 (ECMA-424), the same octets for the same packages. */
export const billOfMaterials = (packages: readonly ThirdParty[]): string =>
  `${JSON.stringify(
    {
      bomFormat: 'CycloneDX',
      specVersion: '1.6',
      version: 1,
      components: packages.map(({ name, version, license }) => ({
        type: 'library',
        name,
        version,
        purl: `pkg:npm/${name.replace('@', '%40')}@${version}`,
        licenses: [{ expression: license }],
      })),
    },
    null,
    2,
  )}\n`;
