#!/usr/bin/env node
// npm links a command only when its file is there at install time, and dist is built afterwards.
import '../dist/main.js';
