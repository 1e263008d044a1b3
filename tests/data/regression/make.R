# Rscript make.R, in this folder: data, and the curves that locfit and KernSmooth fit to them at given bandwidths.
#   mcycle    head acceleration by time. B. W. Silverman (1985), JRSS B 47, 1-52; as in MASS
#   ethanol   nitrogen oxides by compression and equivalence ratio. N. D. Brinkman (1981), SAE Transactions 90, 1410-1424; as in lattice
#   faithful  waiting time by duration of an eruption. A. Azzalini and A. W. Bowman (1990), Applied Statistics 39, 357-365; as in datasets
#   five      generated here, five predictors
# A column's name is "package kernel degree bandwidth...", or "package kernel degree nearest k". locfit: h is where a compact
# kernel becomes zero, and 2.5 standard deviations of a Gaussian; predictors are divided by `scale`, weights are radial. Here h is
# that of each predictor, and the standard deviation of a Gaussian. KernSmooth: a Gaussian of standard deviation h that is cut at
# 4 h; its binning is exact where the points lie on its grid, as here.
suppressMessages({library(locfit); library(KernSmooth); library(MASS); library(lattice)})

locfit_at_data <- function(x, y, kernel, degree, h, scale = 1) {
  kern <- c(epanechnikov = "epan", biweight = "bisq", gaussian = "gauss")[kernel]
  factor <- if (kernel == "gaussian") 2.5 else 1
  fitted(locfit.raw(x, y, alpha = c(0, h * factor), scale = scale, deg = degree, kern = kern, ev = dat(), maxk = 2000))
}

# The distance to the k-th nearest point is the bandwidth.
locfit_nearest <- function(x, y, kernel, degree, k) {
  kern <- c(epanechnikov = "epan", biweight = "bisq")[kernel]
  fitted(locfit.raw(x, y, alpha = (k + 0.5) / length(y), deg = degree, kern = kern, ev = dat(), maxk = 2000))
}

locpoly_at_data <- function(x, y, degree, h, step) {
  size <- round(diff(range(x)) / step) + 1
  line <- locpoly(x, y, degree = degree, bandwidth = h, gridsize = size, range.x = range(x))
  line$y[round((x - min(x)) / step) + 1]
}

write <- function(file, table) {
  con <- file(file, "w")
  writeLines("# Made by make.R, which has the sources.", con)
  writeLines(paste0('"', names(table), '"', collapse = ","), con)
  write.table(lapply(table, function(column) sprintf("%.10g", column)), con, sep = ",", quote = FALSE, row.names = FALSE, col.names = FALSE)
  close(con)
}

one_predictor <- function(file, x, y, h, step, gaussian) {
  table <- data.frame(x = x, y = y)
  for (degree in 0:3) {
    wide <- h * c(1, 1, 2, 2.5)[degree + 1]
    table[[paste("locfit biweight", degree, wide)]] <- locfit_at_data(x, y, "biweight", degree, wide)
  }
  table[[paste("locfit epanechnikov 1", h)]] <- locfit_at_data(x, y, "epanechnikov", 1, h)
  table[[paste("locfit gaussian 1", 0.4 * h)]] <- locfit_at_data(x, y, "gaussian", 1, 0.4 * h)
  table[["locfit biweight 1 nearest 30"]] <- locfit_nearest(x, y, "biweight", 1, 30)
  for (degree in 0:3) table[[paste("KernSmooth gaussian", degree, gaussian)]] <- locpoly_at_data(x, y, degree, gaussian, step)
  write(file, table)
}

one_predictor("mcycle.csv", mcycle$times, mcycle$accel, 6.05, 0.2, 2.03)
one_predictor("faithful.csv", faithful$eruptions, faithful$waiting, 0.8137, 0.001, 0.3001)

x <- as.matrix(ethanol[, c("C", "E")])
table <- data.frame(x, y = ethanol$NOx)
for (kernel in c("epanechnikov", "biweight", "gaussian")) {
  for (degree in 0:2) {
    h <- (if (kernel == "gaussian") 0.4 else 1) * c(1, 1.25, 2)[degree + 1]
    table[[paste("locfit", kernel, degree, 8 * h, 0.25 * h)]] <- locfit_at_data(x, ethanol$NOx, kernel, degree, h, c(8, 0.25))
  }
}
write("ethanol.csv", table)

set.seed(1)
x <- round(matrix(runif(5 * 150), 150, 5, dimnames = list(NULL, paste0("x", 1:5))), 4)
y <- round(sin(3 * x[, 1]) + x[, 2] * x[, 3] + 0.5 * x[, 4] + 0.1 * rnorm(150), 4)
table <- data.frame(x, y = y)
scale <- c(0.7, 0.8, 0.9, 1, 1.1)
for (kernel in c("epanechnikov", "biweight", "gaussian")) {
  for (degree in 0:1) {
    h <- (if (kernel == "gaussian") 0.4 else 1) * c(0.9, 1.4)[degree + 1]
    table[[paste(c("locfit", kernel, degree, scale * h), collapse = " ")]] <- locfit_at_data(x, y, kernel, degree, h, scale)
  }
}
write("five.csv", table)
