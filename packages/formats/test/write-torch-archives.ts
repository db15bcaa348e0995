/** Writes the archives of torch-archives.ts into the directory that is given, for test/oracles/check_torch_archive.py. */
import { writeArchives } from './torch-archives.js';

const [directory] = process.argv.slice(2);
if (directory !== undefined) await writeArchives(directory);
