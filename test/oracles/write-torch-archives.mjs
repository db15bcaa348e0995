/** Writes archives of the formats package into the directory that is given, for check_torch_archive.py. */
import { writeArchives } from '../../packages/formats/test/torch-archives.ts';

const [directory] = process.argv.slice(2);
if (directory !== undefined) await writeArchives(directory);
