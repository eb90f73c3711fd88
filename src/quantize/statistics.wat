;; Statistics of float32 tensors in an imported memory: what histogram.ts and channel-statistics.ts say in JavaScript,
;; bit for bit. `npm run wasm` assembles it into statistics-wasm.ts.
(module
  (import "calibration" "memory" (memory 1))

  ;; Σ, Σx², min and max of $count floats. Σ has four lanes, element i in lane i mod 4, and one for those behind the last
  ;; four: (0 + 1) + (2 + 3) + rest. A NaN may pass by min and max, but not by Σx².
  (func $span (param $at i32) (param $count i32) (result f64 f64 f64 f64)
    (local $end i32) (local $x v128) (local $wide v128)
    (local $sums01 v128) (local $sums23 v128) (local $squares01 v128) (local $squares23 v128)
    (local $mins v128) (local $maxs v128)
    (local $min f32) (local $max f32) (local $one f32) (local $rest f64) (local $restSquares f64)
    (local.set $mins (v128.const f32x4 inf inf inf inf))
    (local.set $maxs (v128.const f32x4 -inf -inf -inf -inf))
    (local.set $end (i32.add (local.get $at) (i32.shl (i32.and (local.get $count) (i32.const -4)) (i32.const 2))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $x (v128.load (local.get $at)))
        (local.set $mins (f32x4.pmin (local.get $mins) (local.get $x)))
        (local.set $maxs (f32x4.pmax (local.get $maxs) (local.get $x)))
        (local.set $wide (f64x2.promote_low_f32x4 (local.get $x)))
        (local.set $sums01 (f64x2.add (local.get $sums01) (local.get $wide)))
        (local.set $squares01 (f64x2.add (local.get $squares01) (f64x2.mul (local.get $wide) (local.get $wide))))
        (local.set $wide (f64x2.promote_low_f32x4
          (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15 (local.get $x) (local.get $x))))
        (local.set $sums23 (f64x2.add (local.get $sums23) (local.get $wide)))
        (local.set $squares23 (f64x2.add (local.get $squares23) (f64x2.mul (local.get $wide) (local.get $wide))))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $next)))
    (local.set $mins (f32x4.pmin (local.get $mins)
      (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $mins) (local.get $mins))))
    (local.set $maxs (f32x4.pmax (local.get $maxs)
      (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $maxs) (local.get $maxs))))
    (local.set $min (f32.min (f32x4.extract_lane 0 (local.get $mins)) (f32x4.extract_lane 1 (local.get $mins))))
    (local.set $max (f32.max (f32x4.extract_lane 0 (local.get $maxs)) (f32x4.extract_lane 1 (local.get $maxs))))
    (local.set $end (i32.add (local.get $end) (i32.shl (i32.and (local.get $count) (i32.const 3)) (i32.const 2))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $one (f32.load (local.get $at)))
        (local.set $min (f32.min (local.get $min) (local.get $one)))
        (local.set $max (f32.max (local.get $max) (local.get $one)))
        (local.set $rest (f64.add (local.get $rest) (f64.promote_f32 (local.get $one))))
        (local.set $restSquares (f64.add (local.get $restSquares)
          (f64.mul (f64.promote_f32 (local.get $one)) (f64.promote_f32 (local.get $one)))))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))
        (br $next)))
    (call $total (local.get $sums01) (local.get $sums23) (local.get $rest))
    (call $total (local.get $squares01) (local.get $squares23) (local.get $restSquares))
    (f64.promote_f32 (local.get $min))
    (f64.promote_f32 (local.get $max)))

  (func $total (param $lanes01 v128) (param $lanes23 v128) (param $rest f64) (result f64)
    (f64.add
      (f64.add
        (f64.add (f64x2.extract_lane 0 (local.get $lanes01)) (f64x2.extract_lane 1 (local.get $lanes01)))
        (f64.add (f64x2.extract_lane 0 (local.get $lanes23)) (f64x2.extract_lane 1 (local.get $lanes23))))
      (local.get $rest)))

  ;; The span's Σ, Σx², min and max into the four doubles at $into: added, and the lesser and greater.
  (func $add (param $at i32) (param $count i32) (param $into i32)
    (local $sum f64) (local $squares f64) (local $min f64) (local $max f64)
    (call $span (local.get $at) (local.get $count))
    (local.set $max) (local.set $min) (local.set $squares) (local.set $sum)
    (f64.store (local.get $into) (f64.add (f64.load (local.get $into)) (local.get $sum)))
    (f64.store offset=8 (local.get $into) (f64.add (f64.load offset=8 (local.get $into)) (local.get $squares)))
    (f64.store offset=16 (local.get $into) (f64.min (f64.load offset=16 (local.get $into)) (local.get $min)))
    (f64.store offset=24 (local.get $into) (f64.max (f64.load offset=24 (local.get $into)) (local.get $max))))

  ;; The same, of one tensor alone.
  (func (export "scan") (param $at i32) (param $count i32) (param $into i32)
    (f64.store (local.get $into) (f64.const 0))
    (f64.store offset=8 (local.get $into) (f64.const 0))
    (f64.store offset=16 (local.get $into) (f64.const inf))
    (f64.store offset=24 (local.get $into) (f64.const -inf))
    (call $add (local.get $at) (local.get $count) (local.get $into)))

  ;; Min and max of $count floats, where no more is wanted, and 0, or NaN where one is not finite, to the three doubles at
  ;; $into. Sixteen at a time: each lane waits for its last result.
  (func (export "bounds") (param $at i32) (param $count i32) (param $into i32)
    (local $end i32) (local $zero v128) (local $one f32) (local $min f32) (local $max f32) (local $none f32)
    (local $x0 v128) (local $x1 v128) (local $x2 v128) (local $x3 v128)
    (local $min0 v128) (local $min1 v128) (local $min2 v128) (local $min3 v128)
    (local $max0 v128) (local $max1 v128) (local $max2 v128) (local $max3 v128)
    (local $none0 v128) (local $none1 v128) (local $none2 v128) (local $none3 v128)
    (local.set $min0 (v128.const f32x4 inf inf inf inf))
    (local.set $min1 (local.get $min0))
    (local.set $min2 (local.get $min0))
    (local.set $min3 (local.get $min0))
    (local.set $max0 (v128.const f32x4 -inf -inf -inf -inf))
    (local.set $max1 (local.get $max0))
    (local.set $max2 (local.get $max0))
    (local.set $max3 (local.get $max0))
    (local.set $end (i32.add (local.get $at) (i32.shl (i32.and (local.get $count) (i32.const -16)) (i32.const 2))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $x0 (v128.load (local.get $at)))
        (local.set $x1 (v128.load offset=16 (local.get $at)))
        (local.set $x2 (v128.load offset=32 (local.get $at)))
        (local.set $x3 (v128.load offset=48 (local.get $at)))
        (local.set $min0 (f32x4.pmin (local.get $min0) (local.get $x0)))
        (local.set $min1 (f32x4.pmin (local.get $min1) (local.get $x1)))
        (local.set $min2 (f32x4.pmin (local.get $min2) (local.get $x2)))
        (local.set $min3 (f32x4.pmin (local.get $min3) (local.get $x3)))
        (local.set $max0 (f32x4.pmax (local.get $max0) (local.get $x0)))
        (local.set $max1 (f32x4.pmax (local.get $max1) (local.get $x1)))
        (local.set $max2 (f32x4.pmax (local.get $max2) (local.get $x2)))
        (local.set $max3 (f32x4.pmax (local.get $max3) (local.get $x3)))
        ;; NaN times 0 and infinity times 0 are NaN, and stay so in a sum
        (local.set $none0 (f32x4.add (local.get $none0) (f32x4.mul (local.get $x0) (local.get $zero))))
        (local.set $none1 (f32x4.add (local.get $none1) (f32x4.mul (local.get $x1) (local.get $zero))))
        (local.set $none2 (f32x4.add (local.get $none2) (f32x4.mul (local.get $x2) (local.get $zero))))
        (local.set $none3 (f32x4.add (local.get $none3) (f32x4.mul (local.get $x3) (local.get $zero))))
        (local.set $at (i32.add (local.get $at) (i32.const 64)))
        (br $next)))
    (local.set $min0 (f32x4.pmin
      (f32x4.pmin (local.get $min0) (local.get $min1)) (f32x4.pmin (local.get $min2) (local.get $min3))))
    (local.set $max0 (f32x4.pmax
      (f32x4.pmax (local.get $max0) (local.get $max1)) (f32x4.pmax (local.get $max2) (local.get $max3))))
    (local.set $none0 (f32x4.add
      (f32x4.add (local.get $none0) (local.get $none1)) (f32x4.add (local.get $none2) (local.get $none3))))
    (local.set $min (f32.min
      (f32.min (f32x4.extract_lane 0 (local.get $min0)) (f32x4.extract_lane 1 (local.get $min0)))
      (f32.min (f32x4.extract_lane 2 (local.get $min0)) (f32x4.extract_lane 3 (local.get $min0)))))
    (local.set $max (f32.max
      (f32.max (f32x4.extract_lane 0 (local.get $max0)) (f32x4.extract_lane 1 (local.get $max0)))
      (f32.max (f32x4.extract_lane 2 (local.get $max0)) (f32x4.extract_lane 3 (local.get $max0)))))
    (local.set $none (f32.add
      (f32.add (f32x4.extract_lane 0 (local.get $none0)) (f32x4.extract_lane 1 (local.get $none0)))
      (f32.add (f32x4.extract_lane 2 (local.get $none0)) (f32x4.extract_lane 3 (local.get $none0)))))
    (local.set $end (i32.add (local.get $end) (i32.shl (i32.and (local.get $count) (i32.const 15)) (i32.const 2))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $one (f32.load (local.get $at)))
        (local.set $min (f32.min (local.get $min) (local.get $one)))
        (local.set $max (f32.max (local.get $max) (local.get $one)))
        (local.set $none (f32.add (local.get $none) (f32.mul (local.get $one) (f32.const 0))))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))
        (br $next)))
    (f64.store (local.get $into) (f64.promote_f32 (local.get $min)))
    (f64.store offset=8 (local.get $into) (f64.promote_f32 (local.get $max)))
    (f64.store offset=16 (local.get $into) (f64.promote_f32 (local.get $none))))

  ;; $planes spans of $inner floats, one channel after another and over again; four doubles a channel at $into.
  (func (export "addPlanes") (param $at i32) (param $planes i32) (param $inner i32) (param $channels i32) (param $into i32)
    (local $channel i32)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $planes)))
        (call $add (local.get $at) (local.get $inner) (i32.add (local.get $into) (i32.shl (local.get $channel) (i32.const 5))))
        (local.set $at (i32.add (local.get $at) (i32.shl (local.get $inner) (i32.const 2))))
        (local.set $channel (i32.add (local.get $channel) (i32.const 1)))
        (if (i32.eq (local.get $channel) (local.get $channels)) (then (local.set $channel (i32.const 0))))
        (local.set $planes (i32.sub (local.get $planes) (i32.const 1)))
        (br $next))))

  ;; $count floats, one a channel and over again; four doubles a channel at $into.
  (func (export "addRows") (param $at i32) (param $count i32) (param $channels i32) (param $into i32)
    (local $end i32) (local $to i32) (local $last i32) (local $x f64)
    (local.set $end (i32.add (local.get $at) (i32.shl (local.get $count) (i32.const 2))))
    (local.set $to (local.get $into))
    (local.set $last (i32.add (local.get $into) (i32.shl (local.get $channels) (i32.const 5))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $x (f64.promote_f32 (f32.load (local.get $at))))
        (f64.store (local.get $to) (f64.add (f64.load (local.get $to)) (local.get $x)))
        (f64.store offset=8 (local.get $to)
          (f64.add (f64.load offset=8 (local.get $to)) (f64.mul (local.get $x) (local.get $x))))
        (f64.store offset=16 (local.get $to) (f64.min (f64.load offset=16 (local.get $to)) (local.get $x)))
        (f64.store offset=24 (local.get $to) (f64.max (f64.load offset=24 (local.get $to)) (local.get $x)))
        (local.set $to (i32.add (local.get $to) (i32.const 32)))
        (if (i32.eq (local.get $to) (local.get $last)) (then (local.set $to (local.get $into))))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))
        (br $next))))

  ;; One more in bin ⌊x · $perUnit⌋ of each of $count floats; $zero is where the 32-bit count of bin 0 stands, those of
  ;; negative bins before it. All |x · $perUnit| must be below 2^22.
  (func (export "count") (param $at i32) (param $count i32) (param $perUnit f32) (param $zero i32)
    (local $end i32) (local $x v128) (local $scale v128) (local $zeros i32) (local $bin i32)
    (local.set $scale (f32x4.splat (local.get $perUnit)))
    (local.set $end (i32.add (local.get $at) (i32.shl (i32.and (local.get $count) (i32.const -4)) (i32.const 2))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $x (v128.load (local.get $at)))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        ;; zeros come in runs after a ReLU, and adding to one count again and again is slow
        (if (v128.any_true (local.get $x))
          (then
            ;; a float of 1.5 · 2^23 more holds the integer in its lowest bits
            (local.set $x (i32x4.shl
              (i32x4.sub
                (f32x4.add
                  (f32x4.floor (f32x4.mul (local.get $x) (local.get $scale)))
                  (v128.const f32x4 12582912 12582912 12582912 12582912))
                (v128.const f32x4 12582912 12582912 12582912 12582912))
              (i32.const 2)))
            (local.set $bin (i32.add (local.get $zero) (i32x4.extract_lane 0 (local.get $x))))
            (i32.store (local.get $bin) (i32.add (i32.load (local.get $bin)) (i32.const 1)))
            (local.set $bin (i32.add (local.get $zero) (i32x4.extract_lane 1 (local.get $x))))
            (i32.store (local.get $bin) (i32.add (i32.load (local.get $bin)) (i32.const 1)))
            (local.set $bin (i32.add (local.get $zero) (i32x4.extract_lane 2 (local.get $x))))
            (i32.store (local.get $bin) (i32.add (i32.load (local.get $bin)) (i32.const 1)))
            (local.set $bin (i32.add (local.get $zero) (i32x4.extract_lane 3 (local.get $x))))
            (i32.store (local.get $bin) (i32.add (i32.load (local.get $bin)) (i32.const 1))))
          (else (local.set $zeros (i32.add (local.get $zeros) (i32.const 4)))))
        (br $next)))
    (i32.store (local.get $zero) (i32.add (i32.load (local.get $zero)) (local.get $zeros)))
    (local.set $end (i32.add (local.get $end) (i32.shl (i32.and (local.get $count) (i32.const 3)) (i32.const 2))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $bin (i32.add (local.get $zero) (i32.shl
          (i32.trunc_f32_s (f32.floor (f32.mul (f32.load (local.get $at)) (local.get $perUnit))))
          (i32.const 2))))
        (i32.store (local.get $bin) (i32.add (i32.load (local.get $bin)) (i32.const 1)))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))
        (br $next)))))
