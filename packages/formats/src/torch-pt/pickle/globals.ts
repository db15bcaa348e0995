/**
 * Which names of Python a pickle may mention.
 *
 * Nothing is ever imported or called here, so an unknown class is harmless to us and stays as it is. But a file written
 * from it would carry the name on to a reader that does call it. Names that belong to no checkpoint and are how pickles
 * attack their readers are therefore refused, not carried along.
 */

/** Top-level modules of which nothing may be named: they reach the system, other code, or other pickles. */
const FORBIDDEN_MODULES = new Set(
  (
    'os posix nt posixpath ntpath sys subprocess _posixsubprocess pty socket _socket ssl shutil runpy importlib imp ' +
    'zipimport pkgutil ctypes _ctypes cffi multiprocessing _multiprocessing threading _thread asyncio concurrent signal ' +
    'webbrowser code codeop commands popen2 platform pickle _pickle cPickle pickletools shelve dbm dill cloudpickle ' +
    'joblib marshal timeit pdb bdb cProfile profile trace doctest unittest http httplib urllib urllib2 ftplib telnetlib ' +
    'smtplib poplib imaplib socketserver xmlrpc requests pip ensurepip venv setuptools distutils site sysconfig ' +
    'tempfile glob fileinput io _io fcntl mmap resource gc inspect ast dis operator _operator types new _sitebuiltins ' +
    'tkinter turtle idlelib lib2to3 test logging nturl2path tarfile zipfile gzip bz2 lzma sqlite3 readline rlcompleter ' +
    'linecache traceback atexit faulthandler weakref'
  ).split(' '),
);

/** Modules of otherwise welcome packages that run code, load files, or download. */
const FORBIDDEN_PREFIXES = [
  'torch.hub',
  'torch.serialization',
  'torch.package',
  'torch.jit',
  'torch.ops',
  'torch._ops',
  'torch.utils.cpp_extension',
  'torch.utils.model_zoo',
  'torch.utils.collect_env',
  'torch.utils.bottleneck',
  'torch.utils.hipify',
  'torch.utils.benchmark',
  'torch.utils.show_pickle',
  'torch.utils.file_baton',
  'torch.utils.data.datapipes',
  'torch.testing',
  'torch._dynamo',
  'torch._inductor',
  'torch.multiprocessing',
  'torch.distributed.run',
  'torch.distributed.launch',
  'torch.distributed.elastic',
  'torch.distributed.rpc',
  'numpy.testing',
  'numpy.f2py',
  'numpy.distutils',
  'numpy.lib',
  'numpy.ctypeslib',
];

/** Single functions of that kind. */
const FORBIDDEN_NAMES = new Set([
  'torch.load',
  'torch.save',
  'torch.compile',
  'torch.from_file',
  'numpy.load',
  'numpy.save',
  'numpy.fromfile',
  'numpy.memmap',
  'numpy.fromregex',
  'numpy.genfromtxt',
  'numpy.loadtxt',
]);

/** Gives a memory layout by its name; the metadata of every distributed checkpoint are full of it. */
const LAYOUT_BY_NAME = 'torch.serialization._get_layout';

/** What may be named of the builtins; `getattr` only as a way to name an enum member. */
const BUILTINS = new Set(
  (
    'object set frozenset list dict tuple int float bool str bytes bytearray complex slice range type Ellipsis ' +
    'NotImplemented NoneType getattr'
  ).split(' '),
);

const MODULE_OF_PYTHON_2: ReadonlyMap<string, string> = new Map([
  ['__builtin__', 'builtins'],
  ['copy_reg', 'copyreg'],
]);

const BUILTIN_OF_PYTHON_2: ReadonlyMap<string, string> = new Map([
  ['unicode', 'str'],
  ['long', 'int'],
  ['xrange', 'range'],
]);

const MODULE_FOR_PYTHON_2: ReadonlyMap<string, string> = new Map(
  [...MODULE_OF_PYTHON_2].map(([old, now]) => [now, old]),
);

/** The module name of Python 3; pickles below protocol 3 carry that of Python 2. */
export function modernModule(module: string): string {
  return MODULE_OF_PYTHON_2.get(module) ?? module;
}

/** The builtin's name in Python 3. */
export function modernName(module: string, name: string): string {
  return module === 'builtins' ? (BUILTIN_OF_PYTHON_2.get(name) ?? name) : name;
}

/** The module name that a pickle below protocol 3 carries. */
export function legacyModule(module: string): string {
  return MODULE_FOR_PYTHON_2.get(module) ?? module;
}

/** True when the name has no business in a checkpoint. Both parts as Python 3 spells them. */
export function isForbiddenGlobal(module: string, name: string): boolean {
  const parts = name.split('.');
  const [top = ''] = module.split('.');
  if (HARMLESS.has(`${module}.${name}`)) return false;
  if (FORBIDDEN_MODULES.has(top)) return true;
  if (top === 'builtins') return !BUILTINS.has(name) && !/^[A-Z]\w*(Error|Exception)$/.test(name);
  // `torch` + `os.system` would reach a module through another that imports it.
  if (parts.length > 1 && parts.some((part) => FORBIDDEN_MODULES.has(part))) return true;
  if (parts.some((part) => part.startsWith('__'))) return true;
  const full = `${module}.${name}`;
  if (FORBIDDEN_NAMES.has(full)) return true;
  if (full === LAYOUT_BY_NAME) return false;
  return FORBIDDEN_PREFIXES.some((prefix) => full === prefix || full.startsWith(`${prefix}.`));
}

/** Plain values, and ways to make instances, that live where all else is refused; checkpoints hold each of them. */
const HARMLESS = new Set([
  'types.SimpleNamespace',
  'io.BytesIO',
  '_io.BytesIO',
  'signal.Signals',
  'logging.getLogger',
  'copyreg.__newobj__',
  'copyreg.__newobj_ex__',
]);
