//! The square-root-free Cholesky factorisation A = `LDLᵀ` (Golub and Van Loan, "Matrix Computations", 4th ed., §4.1.2) of matrices as
//! small as a policy's, for constant sizes, so that the compiler unrolls all of it. A library that does this for any size takes
//! five times as long, and it happens with every reward.

use super::ridge::packed_index;

/// The compiler unrolls loops over so many rows; a larger matrix is factored as two by two blocks.
const UNROLLED: usize = 7;

/// L, whose diagonal of ones and upper triangle are not meant, and 1/D.
struct Factors<const H: usize> {
    l: [[f64; H]; H],
    inverse_d: [f64; H],
}

impl<const H: usize> Factors<H> {
    /// Of the matrix with these entries (i, j), i ≥ j; `None` when it is not positive definite.
    #[inline]
    fn of(entry: impl Fn(usize, usize) -> f64) -> Option<Self> {
        let (mut l, mut inverse_d) = ([[0.0; H]; H], [0.0; H]);
        for i in 0..H {
            let mut scaled = [0.0; H];
            let mut pivot = entry(i, i);
            for j in 0..i {
                let mut sum = entry(i, j);
                for k in 0..j {
                    sum -= scaled[k] * l[j][k];
                }
                scaled[j] = sum;
                l[i][j] = sum * inverse_d[j];
                pivot -= sum * l[i][j];
            }
            if pivot.is_nan() || pivot <= 0.0 {
                return None;
            }
            inverse_d[i] = 1.0 / pivot;
        }
        Some(Self { l, inverse_d })
    }

    /// y ← L⁻¹y.
    #[inline]
    fn forward(&self, y: &mut [f64; H]) {
        for i in 0..H {
            for j in 0..i {
                y[i] -= self.l[i][j] * y[j];
            }
        }
    }

    /// y ← D⁻¹y.
    #[inline]
    fn scale(&self, y: &mut [f64; H]) {
        for (y, inverse) in y.iter_mut().zip(&self.inverse_d) {
            *y *= inverse;
        }
    }

    /// y ← L⁻ᵀy.
    #[inline]
    fn backward(&self, y: &mut [f64; H]) {
        for i in (0..H).rev() {
            let solved = y[i];
            for j in 0..i {
                y[j] -= self.l[i][j] * solved;
            }
        }
    }
}

/// Whether the symmetric matrix with these entries (i, j), i ≥ j, has positive eigenvalues only.
pub fn is_positive_definite<const D: usize>(entry: impl Fn(usize, usize) -> f64) -> bool {
    Factors::<D>::of(entry).is_some()
}

/// θ with Aθ = b, where `a` is A's packed lower triangle; `None` when A is not positive definite.
#[inline]
pub fn solve<const D: usize, const P: usize>(a: &[f64; P], b: &[f64; D]) -> Option<[f64; D]> {
    const { assert!(D <= UNROLLED || D == 12) }
    if D > UNROLLED {
        return solve_halves::<D, P, 6>(a, b);
    }
    let factors = Factors::<D>::of(|i, j| a[packed_index(i, j)])?;
    let mut theta = *b;
    factors.forward(&mut theta);
    factors.scale(&mut theta);
    factors.backward(&mut theta);
    Some(theta)
}

/// The same for D = 2H: with A = [U Cᵀ; C V], first U, then V − CU⁻¹Cᵀ (the Schur complement) are factored.
fn solve_halves<const D: usize, const P: usize, const H: usize>(a: &[f64; P], b: &[f64; D]) -> Option<[f64; D]> {
    let upper = Factors::<H>::of(|i, j| a[packed_index(i, j)])?;
    // C times the inverse of Lᵀ, column by column, and the same divided by D: the lower left part of L.
    let mut c: [[f64; H]; H] = std::array::from_fn(|k| std::array::from_fn(|row| a[packed_index(H + row, k)]));
    let mut lower_left = [[0.0; H]; H];
    for k in 0..H {
        let mut column = c[k];
        for m in 0..k {
            for row in 0..H {
                column[row] -= c[m][row] * upper.l[k][m];
            }
        }
        c[k] = column;
        lower_left[k] = column.map(|value| value * upper.inverse_d[k]);
    }
    let lower = Factors::<H>::of(|i, j| (0..H).fold(a[packed_index(H + i, H + j)], |sum, k| sum - c[k][i] * lower_left[k][j]))?;
    let (mut first, mut last): ([f64; H], [f64; H]) = (std::array::from_fn(|i| b[i]), std::array::from_fn(|i| b[H + i]));
    upper.forward(&mut first);
    for k in 0..H {
        for row in 0..H {
            last[row] -= lower_left[k][row] * first[k];
        }
    }
    lower.forward(&mut last);
    lower.scale(&mut last);
    lower.backward(&mut last);
    upper.scale(&mut first);
    for k in 0..H {
        for row in 0..H {
            first[k] -= lower_left[k][row] * last[row];
        }
    }
    upper.backward(&mut first);
    Some(std::array::from_fn(|i| if i < H { first[i] } else { last[i - H] }))
}

/// A⁻¹'s packed lower triangle, where `a` is A's; `None` when A is not positive definite.
#[inline]
pub fn invert<const D: usize, const P: usize>(a: &[f64; P]) -> Option<[f64; P]> {
    let factors = Factors::<D>::of(|i, j| a[packed_index(i, j)])?;
    // L⁻¹, then A⁻¹ = L⁻ᵀD⁻¹L⁻¹.
    let mut m = [[0.0; D]; D];
    for i in 0..D {
        for j in 0..i {
            m[i][j] = -((j + 1)..i).fold(factors.l[i][j], |sum, k| sum + factors.l[i][k] * m[k][j]);
        }
        m[i][i] = 1.0;
    }
    let mut inverse = [0.0; P];
    for i in 0..D {
        for j in 0..=i {
            inverse[packed_index(i, j)] = (i..D).map(|k| m[k][i] * factors.inverse_d[k] * m[k][j]).sum();
        }
    }
    Some(inverse)
}
