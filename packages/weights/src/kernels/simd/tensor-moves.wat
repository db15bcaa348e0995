;; What conversions do with bytes between reading and writing them: casts, strided copies, transposes.
;;
;; The memory is the buffer of reads and writes; addresses are byte offsets, strides are bytes. Nothing here checks
;; bounds: the caller owns the layout, and an address outside of the memory traps. Bytes 0 to 63 are scratch.
;; Rounding is to nearest, ties to even. Built by `node --import tsx tools/build-kernels.ts` (wat2wasm of npm's wabt).
(module
  (memory (export "memory") 2)

  ;; Finite values that became infinite since the last call of cast_rows began: four counters.
  (global $overflow (mut v128) (v128.const i32x4 0 0 0 0))

  (type $line (func (param $src i32) (param $dst i32) (param $n i32)))
  (table funcref (elem $f32_bf16 $f32_f16 $bf16_f32 $f16_f32 $bf16_f16 $f16_bf16))

  ;; f32 bits to bf16 bits in each lane. NaN keeps its sign and upper payload and becomes quiet.
  (func $to_bf16 (param $x v128) (result v128)
    (local $abs v128) (local $upper v128)
    (local.set $abs (v128.and (local.get $x) (i32x4.splat (i32.const 0x7fffffff))))
    (local.set $upper (i32x4.shr_u (local.get $x) (i32.const 16)))
    ;; From 0x7f7f8000 on a finite value rounds to infinity.
    (global.set $overflow (i32x4.sub (global.get $overflow)
      (v128.and (i32x4.gt_s (local.get $abs) (i32x4.splat (i32.const 0x7f7f7fff)))
        (i32x4.lt_s (local.get $abs) (i32x4.splat (i32.const 0x7f800000))))))
    (v128.bitselect
      (v128.or (local.get $upper) (i32x4.splat (i32.const 0x40)))
      (i32x4.shr_u
        (i32x4.add (local.get $x)
          (i32x4.add (i32x4.splat (i32.const 0x7fff)) (v128.and (local.get $upper) (i32x4.splat (i32.const 1)))))
        (i32.const 16))
      (i32x4.gt_s (local.get $abs) (i32x4.splat (i32.const 0x7f800000)))))

  ;; f32 bits to f16 bits in each lane. NaN keeps its sign and becomes 0x7e00.
  (func $to_f16 (param $x v128) (result v128)
    (local $abs v128) (local $half v128) (local $large v128)
    (local.set $abs (v128.and (local.get $x) (i32x4.splat (i32.const 0x7fffffff))))
    ;; Below 2^-14: adding 0.5 puts the last bit of a subnormal half at the last bit of the sum, rounded by the addition.
    (local.set $half (v128.bitselect
      (i32x4.shr_u
        (i32x4.add (local.get $abs)
          (i32x4.add (i32x4.splat (i32.const 0xc8000fff))
            (v128.and (i32x4.shr_u (local.get $abs) (i32.const 13)) (i32x4.splat (i32.const 1)))))
        (i32.const 13))
      (i32x4.sub (f32x4.add (local.get $abs) (f32x4.splat (f32.const 0.5))) (i32x4.splat (i32.const 0x3f000000)))
      (i32x4.gt_s (local.get $abs) (i32x4.splat (i32.const 0x387fffff)))))
    ;; From 65520 on a finite value rounds to infinity.
    (local.set $large (i32x4.gt_s (local.get $abs) (i32x4.splat (i32.const 0x477fefff))))
    (global.set $overflow (i32x4.sub (global.get $overflow)
      (v128.and (local.get $large) (i32x4.lt_s (local.get $abs) (i32x4.splat (i32.const 0x7f800000))))))
    (local.set $half (v128.bitselect (i32x4.splat (i32.const 0x7c00)) (local.get $half) (local.get $large)))
    (local.set $half (v128.bitselect (i32x4.splat (i32.const 0x7e00)) (local.get $half)
      (i32x4.gt_s (local.get $abs) (i32x4.splat (i32.const 0x7f800000)))))
    (v128.or (local.get $half)
      (v128.and (i32x4.shr_u (local.get $x) (i32.const 16)) (i32x4.splat (i32.const 0x8000)))))

  ;; f16 bits to f32 bits in each lane, exactly. NaN keeps its sign and payload and becomes quiet.
  (func $from_f16 (param $h v128) (result v128)
    (local $abs v128) (local $wide v128)
    (local.set $abs (v128.and (local.get $h) (i32x4.splat (i32.const 0x7fff))))
    (local.set $wide (i32x4.shl (local.get $abs) (i32.const 13)))
    (v128.or
      (i32x4.shl (v128.and (local.get $h) (i32x4.splat (i32.const 0x8000))) (i32.const 16))
      (v128.bitselect
        (f32x4.mul (f32x4.convert_i32x4_s (local.get $abs)) (f32x4.splat (f32.const 0x1p-24)))
        (v128.bitselect
          (v128.or
            (v128.or (local.get $wide) (i32x4.splat (i32.const 0x7f800000)))
            (v128.and (i32x4.gt_s (local.get $abs) (i32x4.splat (i32.const 0x7c00))) (i32x4.splat (i32.const 0x400000))))
          (i32x4.add (local.get $wide) (i32x4.splat (i32.const 0x38000000)))
          (i32x4.gt_s (local.get $abs) (i32x4.splat (i32.const 0x7bff))))
        (i32x4.lt_s (local.get $abs) (i32x4.splat (i32.const 0x400))))))

  ;; Lines of elements, four at a time; each takes $n > 0, a multiple of four. This one is f32 to bf16, for any numbers.
  (func $f32_bf16_any (param $src i32) (param $dst i32) (param $n i32)
    (local $x v128)
    (loop $next
      (local.set $x (v128.load (local.get $src)))
      (local.set $x (call $to_bf16 (local.get $x)))
      (v128.store64_lane 0 (local.get $dst) (i16x8.narrow_i32x4_u (local.get $x) (local.get $x)))
      (local.set $src (i32.add (local.get $src) (i32.const 16)))
      (local.set $dst (i32.add (local.get $dst) (i32.const 8)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 4))))))

  ;; f32 to bf16: pieces of at most 1024 elements, rounded as if all stayed finite, and again where one does not.
  (func $f32_bf16 (param $src i32) (param $dst i32) (param $n i32)
    (local $x v128) (local $y v128) (local $special v128) (local $count i32) (local $rest i32)
    (loop $piece
      (local.set $count (select (i32.const 1024) (local.get $n) (i32.gt_u (local.get $n) (i32.const 1024))))
      (local.set $n (i32.sub (local.get $n) (local.get $count)))
      (local.set $rest (i32.and (local.get $count) (i32.const -8)))
      (local.set $special (v128.const i32x4 0 0 0 0))
      (if (local.get $rest) (then
        (loop $next
          (local.set $x (v128.load (local.get $src)))
          (local.set $y (v128.load offset=16 (local.get $src)))
          ;; From 0x7f7f8000 on: what rounds to infinity, infinity itself, NaN.
          (local.set $special (v128.or (local.get $special) (v128.or
            (i32x4.gt_s (v128.and (local.get $x) (i32x4.splat (i32.const 0x7fffffff))) (i32x4.splat (i32.const 0x7f7f7fff)))
            (i32x4.gt_s (v128.and (local.get $y) (i32x4.splat (i32.const 0x7fffffff))) (i32x4.splat (i32.const 0x7f7f7fff))))))
          (v128.store (local.get $dst) (i16x8.narrow_i32x4_s
            (i32x4.shr_s (i32x4.add (i32x4.add (local.get $x) (i32x4.splat (i32.const 0x7fff)))
              (v128.and (i32x4.shr_u (local.get $x) (i32.const 16)) (i32x4.splat (i32.const 1)))) (i32.const 16))
            (i32x4.shr_s (i32x4.add (i32x4.add (local.get $y) (i32x4.splat (i32.const 0x7fff)))
              (v128.and (i32x4.shr_u (local.get $y) (i32.const 16)) (i32x4.splat (i32.const 1)))) (i32.const 16))))
          (local.set $src (i32.add (local.get $src) (i32.const 32)))
          (local.set $dst (i32.add (local.get $dst) (i32.const 16)))
          (br_if $next (local.tee $rest (i32.sub (local.get $rest) (i32.const 8)))))))
      (local.set $rest (i32.and (local.get $count) (i32.const -8)))
      (if (v128.any_true (local.get $special)) (then
        (call $f32_bf16_any
          (i32.sub (local.get $src) (i32.mul (local.get $rest) (i32.const 4)))
          (i32.sub (local.get $dst) (i32.mul (local.get $rest) (i32.const 2)))
          (local.get $rest))))
      (if (i32.ne (local.get $rest) (local.get $count)) (then
        (call $f32_bf16_any (local.get $src) (local.get $dst) (i32.const 4))
        (local.set $src (i32.add (local.get $src) (i32.const 16)))
        (local.set $dst (i32.add (local.get $dst) (i32.const 8)))))
      (br_if $piece (local.get $n))))

  ;; f32 to f16.
  (func $f32_f16 (param $src i32) (param $dst i32) (param $n i32)
    (local $x v128)
    (loop $next
      (local.set $x (v128.load (local.get $src)))
      (local.set $x (call $to_f16 (local.get $x)))
      (v128.store64_lane 0 (local.get $dst) (i16x8.narrow_i32x4_u (local.get $x) (local.get $x)))
      (local.set $src (i32.add (local.get $src) (i32.const 16)))
      (local.set $dst (i32.add (local.get $dst) (i32.const 8)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 4))))))

  ;; bf16 to f32.
  (func $bf16_f32 (param $src i32) (param $dst i32) (param $n i32)
    (local $x v128)
    (loop $next
      (local.set $x (v128.load16x4_u (local.get $src)))
      (local.set $x (i32x4.shl (local.get $x) (i32.const 16)))
      (v128.store (local.get $dst) (local.get $x))
      (local.set $src (i32.add (local.get $src) (i32.const 8)))
      (local.set $dst (i32.add (local.get $dst) (i32.const 16)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 4))))))

  ;; f16 to f32.
  (func $f16_f32 (param $src i32) (param $dst i32) (param $n i32)
    (local $x v128)
    (loop $next
      (local.set $x (v128.load16x4_u (local.get $src)))
      (local.set $x (call $from_f16 (local.get $x)))
      (v128.store (local.get $dst) (local.get $x))
      (local.set $src (i32.add (local.get $src) (i32.const 8)))
      (local.set $dst (i32.add (local.get $dst) (i32.const 16)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 4))))))

  ;; bf16 to f16; one rounding, because bf16 is exact in f32.
  (func $bf16_f16 (param $src i32) (param $dst i32) (param $n i32)
    (local $x v128)
    (loop $next
      (local.set $x (v128.load16x4_u (local.get $src)))
      (local.set $x (i32x4.shl (local.get $x) (i32.const 16)))
      (local.set $x (call $to_f16 (local.get $x)))
      (v128.store64_lane 0 (local.get $dst) (i16x8.narrow_i32x4_u (local.get $x) (local.get $x)))
      (local.set $src (i32.add (local.get $src) (i32.const 8)))
      (local.set $dst (i32.add (local.get $dst) (i32.const 8)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 4))))))

  ;; f16 to bf16; one rounding, because f16 is exact in f32.
  (func $f16_bf16 (param $src i32) (param $dst i32) (param $n i32)
    (local $x v128)
    (loop $next
      (local.set $x (v128.load16x4_u (local.get $src)))
      (local.set $x (call $from_f16 (local.get $x)))
      (local.set $x (call $to_bf16 (local.get $x)))
      (v128.store64_lane 0 (local.get $dst) (i16x8.narrow_i32x4_u (local.get $x) (local.get $x)))
      (local.set $src (i32.add (local.get $src) (i32.const 8)))
      (local.set $dst (i32.add (local.get $dst) (i32.const 8)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 4))))))

  ;; Casts a matrix. $kind is the place in the table; sizes are bytes per element. Returns how many overflowed.
  (func (export "cast_rows") (param $kind i32) (param $src i32) (param $srcStride i32) (param $dst i32) (param $dstStride i32)
    (param $rows i32) (param $cols i32) (param $srcSize i32) (param $dstSize i32) (result i32)
    (local $whole i32) (local $rest i32)
    (global.set $overflow (v128.const i32x4 0 0 0 0))
    (local.set $whole (i32.and (local.get $cols) (i32.const -4)))
    (local.set $rest (i32.and (local.get $cols) (i32.const 3)))
    (loop $down
      (if (local.get $whole) (then
        (call_indirect (type $line) (local.get $src) (local.get $dst) (local.get $whole) (local.get $kind))))
      ;; The last one to three elements go through the scratch, filled up with zeros.
      (if (local.get $rest) (then
        (v128.store (i32.const 0) (v128.const i32x4 0 0 0 0))
        (memory.copy (i32.const 0)
          (i32.add (local.get $src) (i32.mul (local.get $whole) (local.get $srcSize)))
          (i32.mul (local.get $rest) (local.get $srcSize)))
        (call_indirect (type $line) (i32.const 0) (i32.const 32) (i32.const 4) (local.get $kind))
        (memory.copy (i32.add (local.get $dst) (i32.mul (local.get $whole) (local.get $dstSize)))
          (i32.const 32)
          (i32.mul (local.get $rest) (local.get $dstSize)))))
      (local.set $src (i32.add (local.get $src) (local.get $srcStride)))
      (local.set $dst (i32.add (local.get $dst) (local.get $dstStride)))
      (br_if $down (local.tee $rows (i32.sub (local.get $rows) (i32.const 1)))))
    (i32.add
      (i32.add (i32x4.extract_lane 0 (global.get $overflow)) (i32x4.extract_lane 1 (global.get $overflow)))
      (i32.add (i32x4.extract_lane 2 (global.get $overflow)) (i32x4.extract_lane 3 (global.get $overflow)))))

  ;; Copies $rows > 0 rows of $bytes each between two strides.
  (func (export "copy_rows") (param $src i32) (param $srcStride i32) (param $dst i32) (param $dstStride i32)
    (param $rows i32) (param $bytes i32)
    (loop $down
      (memory.copy (local.get $dst) (local.get $src) (local.get $bytes))
      (local.set $src (i32.add (local.get $src) (local.get $srcStride)))
      (local.set $dst (i32.add (local.get $dst) (local.get $dstStride)))
      (br_if $down (local.tee $rows (i32.sub (local.get $rows) (i32.const 1))))))

  ;; Turns a matrix of 16-bit elements; rows and columns are multiples of 8, and both above zero.
  (func (export "transpose16") (param $src i32) (param $srcStride i32) (param $dst i32) (param $dstStride i32)
    (param $rows i32) (param $cols i32)
    (local $col i32) (local $from i32) (local $to i32)
    (local $a0 v128) (local $a1 v128) (local $a2 v128) (local $a3 v128) (local $a4 v128) (local $a5 v128) (local $a6 v128) (local $a7 v128)
    (local $b0 v128) (local $b1 v128) (local $b2 v128) (local $b3 v128) (local $b4 v128) (local $b5 v128) (local $b6 v128) (local $b7 v128)
    (loop $down
      (local.set $col (i32.const 0))
      (loop $across
        (local.set $from (i32.add (local.get $src) (i32.mul (local.get $col) (i32.const 2))))
        (local.set $a0 (v128.load (local.get $from)))
        (local.set $from (i32.add (local.get $from) (local.get $srcStride)))
        (local.set $a1 (v128.load (local.get $from)))
        (local.set $from (i32.add (local.get $from) (local.get $srcStride)))
        (local.set $a2 (v128.load (local.get $from)))
        (local.set $from (i32.add (local.get $from) (local.get $srcStride)))
        (local.set $a3 (v128.load (local.get $from)))
        (local.set $from (i32.add (local.get $from) (local.get $srcStride)))
        (local.set $a4 (v128.load (local.get $from)))
        (local.set $from (i32.add (local.get $from) (local.get $srcStride)))
        (local.set $a5 (v128.load (local.get $from)))
        (local.set $from (i32.add (local.get $from) (local.get $srcStride)))
        (local.set $a6 (v128.load (local.get $from)))
        (local.set $from (i32.add (local.get $from) (local.get $srcStride)))
        (local.set $a7 (v128.load (local.get $from)))
        (local.set $b0 (i8x16.shuffle 0 1 16 17 2 3 18 19 4 5 20 21 6 7 22 23 (local.get $a0) (local.get $a1)))
        (local.set $b1 (i8x16.shuffle 8 9 24 25 10 11 26 27 12 13 28 29 14 15 30 31 (local.get $a0) (local.get $a1)))
        (local.set $b2 (i8x16.shuffle 0 1 16 17 2 3 18 19 4 5 20 21 6 7 22 23 (local.get $a2) (local.get $a3)))
        (local.set $b3 (i8x16.shuffle 8 9 24 25 10 11 26 27 12 13 28 29 14 15 30 31 (local.get $a2) (local.get $a3)))
        (local.set $b4 (i8x16.shuffle 0 1 16 17 2 3 18 19 4 5 20 21 6 7 22 23 (local.get $a4) (local.get $a5)))
        (local.set $b5 (i8x16.shuffle 8 9 24 25 10 11 26 27 12 13 28 29 14 15 30 31 (local.get $a4) (local.get $a5)))
        (local.set $b6 (i8x16.shuffle 0 1 16 17 2 3 18 19 4 5 20 21 6 7 22 23 (local.get $a6) (local.get $a7)))
        (local.set $b7 (i8x16.shuffle 8 9 24 25 10 11 26 27 12 13 28 29 14 15 30 31 (local.get $a6) (local.get $a7)))
        (local.set $a0 (i8x16.shuffle 0 1 2 3 16 17 18 19 4 5 6 7 20 21 22 23 (local.get $b0) (local.get $b2)))
        (local.set $a1 (i8x16.shuffle 8 9 10 11 24 25 26 27 12 13 14 15 28 29 30 31 (local.get $b0) (local.get $b2)))
        (local.set $a2 (i8x16.shuffle 0 1 2 3 16 17 18 19 4 5 6 7 20 21 22 23 (local.get $b1) (local.get $b3)))
        (local.set $a3 (i8x16.shuffle 8 9 10 11 24 25 26 27 12 13 14 15 28 29 30 31 (local.get $b1) (local.get $b3)))
        (local.set $a4 (i8x16.shuffle 0 1 2 3 16 17 18 19 4 5 6 7 20 21 22 23 (local.get $b4) (local.get $b6)))
        (local.set $a5 (i8x16.shuffle 8 9 10 11 24 25 26 27 12 13 14 15 28 29 30 31 (local.get $b4) (local.get $b6)))
        (local.set $a6 (i8x16.shuffle 0 1 2 3 16 17 18 19 4 5 6 7 20 21 22 23 (local.get $b5) (local.get $b7)))
        (local.set $a7 (i8x16.shuffle 8 9 10 11 24 25 26 27 12 13 14 15 28 29 30 31 (local.get $b5) (local.get $b7)))
        (local.set $b0 (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23 (local.get $a0) (local.get $a4)))
        (local.set $b1 (i8x16.shuffle 8 9 10 11 12 13 14 15 24 25 26 27 28 29 30 31 (local.get $a0) (local.get $a4)))
        (local.set $b2 (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23 (local.get $a1) (local.get $a5)))
        (local.set $b3 (i8x16.shuffle 8 9 10 11 12 13 14 15 24 25 26 27 28 29 30 31 (local.get $a1) (local.get $a5)))
        (local.set $b4 (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23 (local.get $a2) (local.get $a6)))
        (local.set $b5 (i8x16.shuffle 8 9 10 11 12 13 14 15 24 25 26 27 28 29 30 31 (local.get $a2) (local.get $a6)))
        (local.set $b6 (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23 (local.get $a3) (local.get $a7)))
        (local.set $b7 (i8x16.shuffle 8 9 10 11 12 13 14 15 24 25 26 27 28 29 30 31 (local.get $a3) (local.get $a7)))
        (local.set $to (i32.add (local.get $dst) (i32.mul (local.get $col) (local.get $dstStride))))
        (v128.store (local.get $to) (local.get $b0))
        (local.set $to (i32.add (local.get $to) (local.get $dstStride)))
        (v128.store (local.get $to) (local.get $b1))
        (local.set $to (i32.add (local.get $to) (local.get $dstStride)))
        (v128.store (local.get $to) (local.get $b2))
        (local.set $to (i32.add (local.get $to) (local.get $dstStride)))
        (v128.store (local.get $to) (local.get $b3))
        (local.set $to (i32.add (local.get $to) (local.get $dstStride)))
        (v128.store (local.get $to) (local.get $b4))
        (local.set $to (i32.add (local.get $to) (local.get $dstStride)))
        (v128.store (local.get $to) (local.get $b5))
        (local.set $to (i32.add (local.get $to) (local.get $dstStride)))
        (v128.store (local.get $to) (local.get $b6))
        (local.set $to (i32.add (local.get $to) (local.get $dstStride)))
        (v128.store (local.get $to) (local.get $b7))
        (local.set $col (i32.add (local.get $col) (i32.const 8)))
        (br_if $across (i32.lt_u (local.get $col) (local.get $cols))))
      (local.set $src (i32.add (local.get $src) (i32.mul (local.get $srcStride) (i32.const 8))))
      (local.set $dst (i32.add (local.get $dst) (i32.const 16)))
      (br_if $down (local.tee $rows (i32.sub (local.get $rows) (i32.const 8))))))

  ;; Turns a matrix of 32-bit elements; rows and columns are multiples of 4, and both above zero.
  (func (export "transpose32") (param $src i32) (param $srcStride i32) (param $dst i32) (param $dstStride i32)
    (param $rows i32) (param $cols i32)
    (local $col i32) (local $from i32) (local $to i32)
    (local $a0 v128) (local $a1 v128) (local $a2 v128) (local $a3 v128)
    (local $b0 v128) (local $b1 v128) (local $b2 v128) (local $b3 v128)
    (loop $down
      (local.set $col (i32.const 0))
      (loop $across
        (local.set $from (i32.add (local.get $src) (i32.mul (local.get $col) (i32.const 4))))
        (local.set $a0 (v128.load (local.get $from)))
        (local.set $from (i32.add (local.get $from) (local.get $srcStride)))
        (local.set $a1 (v128.load (local.get $from)))
        (local.set $from (i32.add (local.get $from) (local.get $srcStride)))
        (local.set $a2 (v128.load (local.get $from)))
        (local.set $from (i32.add (local.get $from) (local.get $srcStride)))
        (local.set $a3 (v128.load (local.get $from)))
        (local.set $b0 (i8x16.shuffle 0 1 2 3 16 17 18 19 4 5 6 7 20 21 22 23 (local.get $a0) (local.get $a1)))
        (local.set $b1 (i8x16.shuffle 8 9 10 11 24 25 26 27 12 13 14 15 28 29 30 31 (local.get $a0) (local.get $a1)))
        (local.set $b2 (i8x16.shuffle 0 1 2 3 16 17 18 19 4 5 6 7 20 21 22 23 (local.get $a2) (local.get $a3)))
        (local.set $b3 (i8x16.shuffle 8 9 10 11 24 25 26 27 12 13 14 15 28 29 30 31 (local.get $a2) (local.get $a3)))
        (local.set $a0 (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23 (local.get $b0) (local.get $b2)))
        (local.set $a1 (i8x16.shuffle 8 9 10 11 12 13 14 15 24 25 26 27 28 29 30 31 (local.get $b0) (local.get $b2)))
        (local.set $a2 (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23 (local.get $b1) (local.get $b3)))
        (local.set $a3 (i8x16.shuffle 8 9 10 11 12 13 14 15 24 25 26 27 28 29 30 31 (local.get $b1) (local.get $b3)))
        (local.set $to (i32.add (local.get $dst) (i32.mul (local.get $col) (local.get $dstStride))))
        (v128.store (local.get $to) (local.get $a0))
        (local.set $to (i32.add (local.get $to) (local.get $dstStride)))
        (v128.store (local.get $to) (local.get $a1))
        (local.set $to (i32.add (local.get $to) (local.get $dstStride)))
        (v128.store (local.get $to) (local.get $a2))
        (local.set $to (i32.add (local.get $to) (local.get $dstStride)))
        (v128.store (local.get $to) (local.get $a3))
        (local.set $col (i32.add (local.get $col) (i32.const 4)))
        (br_if $across (i32.lt_u (local.get $col) (local.get $cols))))
      (local.set $src (i32.add (local.get $src) (i32.mul (local.get $srcStride) (i32.const 4))))
      (local.set $dst (i32.add (local.get $dst) (i32.const 16)))
      (br_if $down (local.tee $rows (i32.sub (local.get $rows) (i32.const 4))))))

  ;; 1 when $bytes, a multiple of 16 above zero, are all zero.
  (func (export "is_zero") (param $at i32) (param $bytes i32) (result i32)
    (loop $next
      (if (v128.any_true (v128.load (local.get $at))) (then (return (i32.const 0))))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (br_if $next (local.tee $bytes (i32.sub (local.get $bytes) (i32.const 16)))))
    (i32.const 1))
)
